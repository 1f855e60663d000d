"""What the ResNet-20 of ../shared/data/checkpoints, which others have trained on CIFAR-10, computes in PyTorch.

Writes vision/testdata/cifar.json: logits of two made-up images, in float64, and the embeddings below them.
"""

import torch

import tiny
from common import ROOT, save, values

if __name__ == "__main__":
    file = ROOT / "../shared/data/checkpoints/resnet20-12fca82f.th"
    state = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    model = tiny.CIFARResNet(3).double().eval()
    model.load_state_dict({k.removeprefix("module.").replace("linear.", "fc."): v for k, v in state.items()})
    with torch.no_grad():
        x = torch.tensor(values(15, 2, 3, 32, 32))
        save("vision/testdata/cifar.json", {"logits": model(x).flatten().tolist(),
                                            "features": model.forward_features(x).mean((2, 3)).flatten().tolist()})
