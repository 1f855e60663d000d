"""Forward and backward of 64 images by timm, on one core: what vision's BenchmarkTraining measures in Go.

Versions: torch==2.11.0, timm==1.0.31.
"""

import time

import timm
import torch


def main():
    torch.set_num_threads(1)
    vit = {"img_size": 64, "patch_size": 8, "drop_path_rate": 0.1}
    swin = {"img_size": 64, "embed_dim": 48, "drop_path_rate": 0.0}
    for name, options in (("vit_tiny_patch16_224", vit), ("resnet18", {}), ("convnext_atto", {}),
                          ("swin_tiny_patch4_window7_224", swin), ("mobilenetv3_small_100", {})):
        for dtype in (torch.float32, torch.bfloat16):
            model = timm.create_model(name, num_classes=0, **options).train()
            x = torch.randn(64, 3, 64, 64)
            times = []
            for _ in range(12):
                start = time.perf_counter()
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
                    y = model(x)
                y.float().square().mean().backward()
                times.append(time.perf_counter() - start)
            best = min(times)
            print(f"{name} {str(dtype).removeprefix('torch.')}: {1e3 * best:.0f} ms, {64 / best:.0f} images/s")


if __name__ == "__main__":
    main()
