"""Golden ids of the Python package tokenizers, and what it takes each code point for.

Writes text/tokenize/unicode.txt, which package tokenize goes by, and in text/tokenize/testdata small tokenizer.json files, trained here
on made-up captions, with the ids of awkward texts (golden.json) and digests of the ids of many random ones.
"""

import hashlib
import json
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from common import ROOT, save

OUT = ROOT / "text/tokenize"

CAPTIONS = """
A frontal chest radiograph. The heart is enlarged, and there is a small pleural effusion on the left.
No acute cardiopulmonary process; lungs are clear. No pneumothorax.
Lateral view: degenerative changes of the thoracic spine, 12 mm nodule in the right upper lobe.
A red bird with a short, thick beak sits on a snow-covered branch.
Two dogs are running through the shallow water of a lake; one of them carries a stick.
The photo shows a bowl of ramen with egg, nori and spring onions (¥980).
H&E stain, 40x: glands with irregular nuclei, mitotic figures and necrosis.
Sentinel-2 image of farmland near Gießen, taken on 2021-06-14 at 10:36 UTC.
A man's hand is holding an old camera that he's bought for $25.50; it doesn't work, they'll repair it.
We've seen I'm, you're, he'd and she'll in captions, haven't we?
Une église blanche au bord de la mer, près d'un phare; le ciel est dégagé.
Ein großes Haus mit roten Dächern über dem Fluss; im Vordergrund blühen Bäume.
El niño está comiendo una manzana. ¿Dónde está la señora?
Красный автобус стоит на улице, рядом идут люди.
흉부 방사선 사진에서 왼쪽 폐에 작은 결절이 보인다. 심장은 정상 크기이다.
강아지 두 마리가 공원에서 뛰어놀고 있다.
一只黑猫坐在窗台上，看着外面的雨。
赤い傘をさした女性が駅の前に立っています。
صورة لقط أسود يجلس على النافذة.
बच्चा पार्क में खेल रहा है।
A black cat 🐈‍⬛ on a window sill 🪟, and a thumbs-up 👍🏽 from its owner 🙂.
The lesion is well-circumscribed, with spiculated margins, in the lower lobe of the left lung.
A brown horse and a white horse are standing in a field with trees in the background.
The radiograph shows a fracture of the distal radius; alignment is near anatomic.
Follow-up in 3-6 months is recommended. Unchanged since 2019.
A plate of rice and vegetables; a glass of water stands beside the plate.
Children are playing football in the park, and their parents are watching them.
""".strip().splitlines()

TEXTS = [
    "", " ", "   ", "\n", "\t\r\n ", "a", "A", ".", "...", "?!", "hello", "Hello, World!", " leading", "trailing ", "  two  spaces  ",
    "line one\nline two\r\nline three\n\n", "tab\tseparated\tvalues", "a  b   c    d", "x\u00a0y\u2003z\u3000w\u1680v\u202fu", "\u0085next\u2028line\u2029",
    "The heart is enlarged.", "THE HEART IS ENLARGED", "we'll we've I'm you're he'd she's don't 'tis 'S 'LL O'Brien's", "'s't're've'm'll'd",
    "12 mm, 3.5 cm; 1,000,000 and 1e-5 at 50%", "½ ⅓ Ⅷ ² ³ ① ٣ ४ 七 𝟙 ௧", "2021-06-14T10:36:00Z", "$25.50 €30 £20 ¥980 ₩5000",
    "Größe Straße naïve café Ångström São Paulo", "ÄÖÜ äöü ß ẞ Æ æ Ø ø Œ œ Ł ł", "Cafe\u0301 A\u030angstro\u0308m n\u0303 o\u0308\u0323", "İstanbul ISTANBUL ı I i",
    "ΑΒΓ αβγ ΣΊΣΥΦΟΣ Σ σ ς", "ﬁ ﬂ ﬀ ﬃ ﬅ Ǆ ǅ ǆ ㎏ ㏑ ℃ № ™ ℡", "\uff26\uff55\uff4c\uff4c\uff57\uff49\uff44\uff54\uff48 \uff11\uff12\uff13 ｶﾀｶﾅ ｶﾞ", "K Å Ω ª º µ",
    "흉부 방사선 사진", "한국어 텍스트입니다. 왼쪽 폐", "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165", "ㄱㄴㄷ ㅏㅑ 각\u11a8", "강아지가 공원에서", "ᄀᄀᄀ가각힣",
    "一只黑猫坐在窗台上，看着外面的雨。", "漢字とかなカナ混じり文。", "中English混合123文", "𠀀𠀁𪛖𫜴𬺡豈更", "\u3400\u4dbf\u4dc0\u9fff\uf900\ufaff\ufb00", "「括弧」『二重』【隅付】〜・…",
    "صورة لقط أسود", "שלום עולם", "मैं हिन्दी लिखता हूँ", "ภาษาไทยไม่มีช่องว่าง", "བོད་སྐད།", "Tiếng Việt có dấu", "ქართული", "Հայերեն", "ខ្មែរ", "தமிழ்",
    "🙂", "🙂🙂🙂", "👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇰🇷🇩🇪 1️⃣ ❤️ ☺︎", "🐈‍⬛ on 🪟", "a🙂b", "🫠🫡🩷🪿🫨", "\U0001faea\U0001fac6", "\u200d\u200c\u200b\u2060\ufeff",
    "zero\u200bwidth\u200djoiner", "soft\u00adhyphen", "bell\x07 null-like\x01 del\x7f esc\x1b[0m", "\ufffd replacement \ufffd", "\ue000\uf8ff private \U000f0000\U0010fffd", "\u0378\u0379 unassigned \U0003fffe",
    "\ufffe\uffff", "\u202eright to left\u202c", "a\u0300\u0301\u0302\u0303\u0304\u0305 zalgo", "e" + "\u0301" * 40, "a" + "\u0301\u0316" * 50 + "b", "\u0301\u0316", "o\u0316\u0301 o\u0301\u0316", "q\u0307\u0323 q\u0323\u0307",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "snake_case camelCase kebab-case", "http://example.org/a?b=c&d=e#f", "me@example.org", "C++ C# F# .NET", "a_b__c___d _ __", "–—―‐‑ “quotes” ‘single’ «guillemets» „low“", "± × ÷ √ ∞ ≈ ≠ ≤ → ∀ ∑",
    "© ® § ¶ † ‡ • ° ¬ ¦", "₀₁₂ ⁰¹² ⅰⅱⅲ", "\u0149 \u01c4 \u1e9b\u0323 \u2126 \u212b", "\ud7a3\uac00\uac01", "᠎ Mongolian", "\u17b4\u17b5", "a\u0345\u0313", "٪ ‰ ‱ ⁂ ⸗ ؛ ؟ ، ۔ । ॥",
    "[CLS] [SEP] [MASK] [PAD] [UNK]", "[CLS]text[SEP]", "a [MASK] b", "a[MASK]b", "[cls] [mask]", "<s> </s> <pad> <unk> <mask>", "the <mask> sat", "the  <mask>  sat", "<s>text</s>", "<|endoftext|>", "text<|endoftext|>text", "<|startoftext|>a photo<|endoftext|>", "</w> </w>x Ġ Ġthe ▁ ▁the ## ##ing <0x41> <0xE1>",
    "the<extra>the <extra> THE EXTRA <EXTRA> <eXtra>s", "finding: finding finding2 Finding xfinding", "findingfinding finding.finding", "nodule-x nodule-xnodule-x  nodule-x\tnodule-x",
    "a" * 100, "a" * 101, "a" * 5000, "ab" * 3000, "é" * 100, "é" * 101, "word " * 500, "🙂" * 300, "漢" * 300, "." * 300, " " * 300, " " * 300 + "x", "aaaaabaaaab" * 30, "1" * 400, "x\n" * 100,
    "abcabcabcabc abcabcabc abcabcabcabcabc", "mississippi Mississippi MISSISSIPPI", "supercalifragilisticexpialidocious", "antidisestablishmentarianism unrecognisable", "The the THE tHe",
] + [c for c in CAPTIONS if not c.isascii()]

# What random texts are made of; TestRandom makes the same in Go.
POOLS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "    \t\n\r\u00a0\u3000\u2003\u0085\u200b\u2028", ".,;:!?'\"()-_/[]<>|#@&*+=~^`$%\\{}",
    "äöüßéèêñçøåÄÖÜİıŁŒſΣσς", "\u0300\u0301\u0302\u0308\u0323\u0327\u0316\u0345\u3099\u05b0\u0591\u0f71\u093c", "가나다흉부폐각힣ᄀᄒ\u1161\u11a8ㄱㅏ", "漢字黑猫一二三𠀀豈ーアｱﾞ々「」。、", "аяЖжاللهשלםกไ\u0e31हि\u093f\u094dதமி",
    "🙂👍🏽👨\u200d👩❤\ufe0f🇰🇷1\u20e3☺", "ﬁ㎏℃½²①Ⅷ™…‥ªµ", "▁Ġ", "\u0001\u0007\u007f\u00ad\u200c\u200d\u2060\ufeff\ufffd\ue000",
]
WORDS = ["the ", "The", " heart", "lung", "radiograph", "ing", "[CLS]", "[MASK]", "<s>", "<mask>", "<|endoftext|>", "<unk>", "[SEP]", "'s", "'ll", "don't ", "  ", "finding", "<extra>", "nodule-x", "흉부 ", "aaaa", "abab"]


class Stream:
    """splitmix64."""

    def __init__(self, seed):
        self.x = seed

    def next(self, n):
        m = (1 << 64) - 1
        self.x = (self.x + 0x9E3779B97F4A7C15) & m
        z = self.x
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & m
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & m
        return (z ^ (z >> 31)) % n


def random_text(seed):
    r = Stream(seed)
    out = []
    for _ in range(r.next(12)):
        kind = r.next(10)
        if kind < 3:
            out.append(WORDS[r.next(len(WORDS))])
        elif kind == 3:  # any code point but surrogates
            c = r.next(0x110000 - 0x800 - 1) + 1
            out.append(chr(c if c < 0xD800 else c + 0x800))
        elif kind == 4:  # one of the first planes, where letters are
            c = r.next(0x3000 - 1) + 1
            out.append(chr(c))
        else:
            pool = POOLS[r.next(len(POOLS))]
            out.append("".join(pool[r.next(len(pool))] for _ in range(1 + r.next(6))))
    return "".join(out)


BLOCK, BLOCKS = 100, 40


def short(ids):
    """The ids, or the SHA-256 of long lists."""
    return ids if len(ids) <= 48 else [len(ids), hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest()[:16]]


def digests(encode):
    """SHA-256 of the ids of 100 texts at a time, shortened."""
    out = []
    for b in range(BLOCKS):
        h = hashlib.sha256()
        for i in range(BLOCK):
            h.update((" ".join(map(str, encode(random_text(b * BLOCK + i)))) + "\n").encode())
        out.append(h.hexdigest()[:8])
    return out


def code_points():
    return [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]


def unicode_table():
    """For each range of code points, the classes that the package has for them, by its behaviour; and its lower case."""
    bert_clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    bert_strip = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    accents, lower, nfd, nfc, nfkd = normalizers.StripAccents(), normalizers.Lowercase(), normalizers.NFD(), normalizers.NFC(), normalizers.NFKD()
    bert, white, digits = pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)

    def pieces(p, text):
        return [x for x, _ in p.pre_tokenize_str(text)]

    def moves(c):
        """Whether canonical ordering moves a mark of a lower or a higher class past c."""
        return nfd.normalize_str("a" + chr(c) + "\u0334") != nfd.normalize_str("a" + chr(c)) + "\u0334" or nfd.normalize_str("a\u0345" + chr(c)) != "a\u0345" + nfd.normalize_str(chr(c))

    def classes(c):
        ch, f = chr(c), ""
        n = len(ch.encode())
        if len(pieces(white, "x" + ch + "y")) == 2:
            f += "s"  # white space
        elif len(pieces(white, "x" + ch + "y")) == 1:
            f += "w"  # \w
        if len(pieces(bert, "x" + ch + "y")) == 3:
            f += "p"  # punctuation
        if pieces(digits, "x" + ch + "y") == ["x", ch, "y"]:
            f += "d"  # numeric
        if bert_clean.normalize_str("x" + ch + "y") == "xy":
            f += "c"  # control, removed by BERT
        if bert_strip.normalize_str(ch) == "":
            f += "n"  # nonspacing mark
        if accents.normalize_str(ch) == "":
            f += "m"  # mark
        sizes = [len(x) for x in pieces(level, "x" + ch)]
        if sizes == [1 + n]:
            f += "L"  # letter of regular expressions
        elif [len(x) for x in pieces(level, ch + "1")] == [n + 1] and not ch.isspace():
            f += "N"  # number of regular expressions
        # A newer version of Unicode than the package's normal forms knows more: here they leave the code point alone.
        new = unicodedata.normalize("NFKD", ch) != ch or unicodedata.combining(ch) != 0
        if new and nfkd.normalize_str(ch) == ch and not moves(c):
            f += "i"  # inert
        return f

    lines = ["# What the Python package tokenizers takes code points for: see scripts/golden/tokens.py, which wrote this.",
             "# Ranges with their classes: s white space, w \\w, p punctuation, d numeric, c control, n nonspacing mark, m mark, L letter,",
             "# N number, i unknown to its normal forms. Then lower case."]
    start, now = 1, classes(1)
    for c in code_points()[1:] + [0x110000]:
        f = classes(c) if c < 0x110000 else None
        if f != now:
            if now:
                lines.append(f"{start:x} {c - 1:x} {now}")
            start, now = c, f
    lines += [f"{c:x} > " + " ".join(f"{ord(x):x}" for x in lower.normalize_str(chr(c))) for c in code_points() if lower.normalize_str(chr(c)) != chr(c)]
    (OUT / "unicode.txt").write_text("\n".join(lines) + "\n")
    print("unicode.txt:", len(lines), "lines")


def train(t, trainer):
    t.train_from_iterator(CAPTIONS, trainer)
    return t


def tokenizers():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    train(t, trainers.WordPieceTrainer(vocab_size=500, special_tokens=special))
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    t.decoder = decoders.WordPiece()
    yield "bert_uncased", t

    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20, continuing_subword_prefix="@@"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer()
    train(t, trainers.WordPieceTrainer(vocab_size=450, special_tokens=special, continuing_subword_prefix="@@"))
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    t.add_tokens([AddedToken("finding", single_word=True), AddedToken("<extra>", normalized=True), AddedToken("nodule-x", lstrip=True, rstrip=True)])
    yield "bert_cased", t

    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(clean_text=False, strip_accents=False, handle_chinese_chars=False), pre_tokenizers.BertPreTokenizer()
    train(t, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special))
    t.add_tokens([AddedToken("<Extra>", normalized=True), AddedToken("Finding", normalized=True, single_word=True)])
    yield "bert_accents", t

    t = Tokenizer(models.BPE(unk_token="[UNK]"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    train(t, trainers.BpeTrainer(vocab_size=500, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]))
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    yield "bpe_whitespace", t

    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits(individual_digits=True)])
    train(t, trainers.BpeTrainer(vocab_size=450, special_tokens=["<unk>", "<pad>"], continuing_subword_prefix="##", end_of_word_suffix="</w>", limit_alphabet=60))
    yield "bpe_affixes", t

    t = Tokenizer(models.BPE())
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    train(t, trainers.BpeTrainer(vocab_size=600, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    yield "gpt2", t

    t = Tokenizer(models.BPE())
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel()
    train(t, trainers.BpeTrainer(vocab_size=600, special_tokens=["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, special=True)], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    yield "roberta", t

    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    train(t, trainers.BpeTrainer(vocab_size=700, special_tokens=["<|startoftext|>", "<|endoftext|>"], end_of_word_suffix="</w>", initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0), trim_offsets=False, add_prefix_space=False)
    yield "clip", t

    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()  # for training only
    train(t, trainers.BpeTrainer(vocab_size=600, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]))
    t.pre_tokenizer = None
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    yield "llama", without_added(t, "<0x")

    t = Tokenizer(models.BPE(unk_token="<unk>", ignore_merges=True))
    t.normalizer = normalizers.NFKC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(" ", "merged_with_next"), pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    train(t, trainers.BpeTrainer(vocab_size=600, special_tokens=["<unk>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    yield "bpe_split", t

    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    train(t, trainers.UnigramTrainer(vocab_size=400, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>"))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    yield "unigram", t

    t = Tokenizer(models.Unigram())
    t.normalizer, t.pre_tokenizer = normalizers.NFC(), pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    train(t, trainers.UnigramTrainer(vocab_size=350, special_tokens=["<unk>"], unk_token="<unk>"))
    j = json.loads(t.to_str())
    j["model"]["byte_fallback"] = True
    j["model"]["vocab"] += [[f"<0x{b:02X}>", -20.0] for b in range(256)]
    j["truncation"] = {"direction": "Left", "max_length": 64, "strategy": "LongestFirst", "stride": 0}
    j["padding"] = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"}
    yield "unigram_bytes", Tokenizer.from_str(json.dumps(j))

    t = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]), pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=False)])
    train(t, trainers.WordLevelTrainer(vocab_size=300, special_tokens=["[UNK]", "[PAD]"]))
    yield "wordlevel", t


def trained():
    """The vocabularies and merges that trainers make of the captions, as those of package tokenize should. A WordPiece trainer's depends on chance."""
    t = Tokenizer(models.BPE(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]), pre_tokenizers.Whitespace()
    train(t, trainers.BpeTrainer(vocab_size=500, min_frequency=2, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    yield "bpe", json.loads(t.to_str())["model"]
    t = Tokenizer(models.BPE())
    t.normalizer, t.pre_tokenizer = normalizers.NFC(), pre_tokenizers.ByteLevel(add_prefix_space=True)
    train(t, trainers.BpeTrainer(vocab_size=700, min_frequency=1, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    yield "bytelevel", json.loads(t.to_str())["model"]


def without_added(t, prefix):
    """Tokens that the trainer was given as special ones, but that texts must not be searched for."""
    j = json.loads(t.to_str())
    j["added_tokens"] = [a for a in j["added_tokens"] if not a["content"].startswith(prefix)]
    return Tokenizer.from_str(json.dumps(j))


if __name__ == "__main__":
    unicode_table()
    golden = {"texts": TEXTS, "ids": {}, "truncated": {}, "digests": {}}
    for name, t in tokenizers():
        file = OUT / "testdata" / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(t.to_str())
        t = Tokenizer.from_file(str(file))
        golden["ids"][name] = [short(t.encode(x).ids) for x in TEXTS]
        golden["digests"][name] = digests(lambda x: t.encode(x).ids)
        golden["truncated"][name] = []
        for direction in ("right", "left"):
            t.enable_truncation(8, direction=direction)
            golden["truncated"][name].append([t.encode(x).ids for x in CAPTIONS[:5]])
        print(f"{name}: {t.get_vocab_size()} tokens, {file.stat().st_size} bytes")
    golden["captions"] = CAPTIONS
    golden["trained"] = {k: {"vocab": m["vocab"], "merges": m["merges"]} for k, m in trained()}
    save("text/tokenize/testdata/golden.json", golden)
