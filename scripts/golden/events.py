"""An event file by TensorBoard's own writer and messages, for train/runlog/tfevents. Writes its testdata/events.bin."""

import io

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from common import ROOT


def scalars(values):
    return Summary(value=[Summary.Value(tag=tag, simple_value=v) for tag, v in values])


if __name__ == "__main__":
    start = 1_700_000_000
    events = [
        Event(wall_time=start + 0.25, file_version="brain.Event:2"),
        Event(wall_time=start + 0.25, session_log=SessionLog(status=SessionLog.START)),
        Event(wall_time=start + 0.5, step=0, summary=scalars([("eval/knn", 0.5)])),
        Event(wall_time=start + 1, step=1, summary=scalars([("train/loss", 0.1), ("train/lr", 5e-4)])),
        Event(wall_time=start + 2, step=300,
              summary=scalars([("train/loss", float("nan")), ("train/grad_norm", float("inf")), ("train/seconds", 0.0)])),
        Event(wall_time=start + 3, step=5_000_000_000, summary=scalars([("größe", -2.0)])),
        Event(wall_time=start + 4, step=5_000_000_001, summary=Summary()),
    ]
    out = io.BytesIO()
    writer = RecordWriter(out)
    for e in events:
        writer.write(e.SerializeToString())
    file = ROOT / "train/runlog/tfevents/testdata/events.bin"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(out.getvalue())
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size} bytes")
