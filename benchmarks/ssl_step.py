"""One whole self-supervised step against the rate of matrix products, and against the straightforward way.

A step is forward of teacher and student, losses, backward, clipping, AdamW, and the teacher's moving average. Its
model FLOPs are counted from the shapes (2 a multiply-add; ``step_flops``): linear layers, the two products of
attention, patch embedding, heads and prototypes; the backward pass twice the forward one; norms, softmax, losses,
the optimiser and recomputed activations count nothing. MFU = FLOPs a second / the best rate of a plain product
(torch's linear without bias, same precision, same threads, between the steps of the same run) at any of the
model's own shapes; ``mfu_at_shapes`` takes each shape at its own best rate instead.

``ssl_step_reference.py`` does the same step in the straightforward way. Both start from the same weights, their first
losses must agree, and both get the kinder malloc of ``train.precision``. Steps of both and products are interleaved;
figures are medians over rounds. On a machine that others use too, ``--threads 1 --clock process`` (processor
time of one thread) gives figures that can be trusted where wall time cannot.

    python benchmarks/ssl_step.py              ViT-S/14, 2 x 224 + 8 x 98, batch 8, 65,536 prototypes: some four minutes
    python benchmarks/ssl_step.py --quick      batch 2, 8,192 prototypes, fewer rounds: under a minute on two idle cores
    python benchmarks/ssl_step.py --device cuda --model l16 --batch 32 --global-size 512 --local-size 224 --compile
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ssl_step_reference import Reference
from torch import Tensor

from raydino.data.batches import Batch
from raydino.data.masking import batch_masks
from raydino.nn.block import checkpoint_blocks
from raydino.nn.compiled import compile_blocks
from raydino.nn.vit import ViTConfig
from raydino.ssl.recipe import Recipe
from raydino.ssl.scheduled import ScheduledDinoV2
from raydino.train.optim import clip_each, make_optimizer
from raydino.train.precision import autocast, has_bf16, keep_freed_memory, pick_device

Clock = Callable[[], float]
MODELS = {
    "s14": {"patch_size": 14, "embed_dim": 384, "depth": 12, "n_heads": 6},
    "b14": {"patch_size": 14, "embed_dim": 768, "depth": 12, "n_heads": 12},
    "l16": {"patch_size": 16, "embed_dim": 1024, "depth": 24, "n_heads": 16},
}
HEAD = {"hidden_dim": 2048, "bottleneck_dim": 256}
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "process": time.process_time}
TEMPERATURE, MOMENTUM, CLIP = 0.05, 0.99, 3.0


@dataclass(frozen=True)
class Product:
    """A linear layer's product [rows, inner] x [inner, columns], ``times`` in a step (backward included)."""

    rows: int
    inner: int
    columns: int
    times: float

    @property
    def flops(self) -> int:
        return 2 * self.rows * self.inner * self.columns


def step_products(vit: ViTConfig, n_prototypes: int, batch: Batch) -> list[Product]:
    """Every linear layer of a step: once for the teacher's rows, three times for the student's."""
    dim, hidden, n_masked = vit.embed_dim, int(vit.embed_dim * vit.mlp_ratio), int(batch.masks.sum())
    n_globals, n_locals = len(batch.global_crops), len(batch.local_crops)
    tokens_global, tokens_local = (
        1 + (c.shape[-1] // vit.patch_size) ** 2 for c in (batch.global_crops, batch.local_crops)
    )
    teacher, student = n_globals * tokens_global, n_globals * tokens_global + n_locals * tokens_local
    products = []
    for rows, passes in ((teacher, 1), (student, 3)):
        for inner, columns in ((dim, 3 * dim), (dim, dim), (dim, hidden), (hidden, dim)):
            products.append(Product(rows, inner, columns, passes * vit.depth))
    head = ((dim, HEAD["hidden_dim"]), (HEAD["hidden_dim"],) * 2, (HEAD["hidden_dim"], HEAD["bottleneck_dim"]))
    for rows, passes in ((n_globals, 1), (n_globals + n_locals, 3), (n_masked, 4)):
        for inner, columns in (*head, (HEAD["bottleneck_dim"], n_prototypes)):
            products.append(Product(rows, inner, columns, passes))
    return products


def other_flops(vit: ViTConfig, batch: Batch) -> int:
    """Attention's two products (teacher once, student three times) and the patch embedding (no gradient of pixels)."""
    total = 0
    for crops, attention_passes, embedding_passes in ((batch.global_crops, 4, 3), (batch.local_crops, 3, 2)):
        n_patches = (crops.shape[-1] // vit.patch_size) ** 2
        total += attention_passes * vit.depth * len(crops) * 4 * (1 + n_patches) ** 2 * vit.embed_dim
        total += embedding_passes * len(crops) * 2 * n_patches * vit.channels * vit.patch_size**2 * vit.embed_dim
    return total


def make_recipe(options: argparse.Namespace) -> Recipe:
    return Recipe.model_validate(
        {
            "steps": 1000,
            "batch_size": options.batch,
            "vit": {"image_size": options.global_size, **MODELS[options.model]},
            "augmentation": {"policy": "crop_resize", "options": {}},
            "head": {**HEAD, "n_prototypes": options.prototypes},
            "teacher": {
                "momentum_start": MOMENTUM,
                "momentum_end": MOMENTUM,
                "temperature_start": TEMPERATURE,
                "temperature_end": TEMPERATURE,
            },
            "optimizer": {"peak_lr": 1e-4, "end_lr": 1e-4, "warmup_steps": 0, "clip_norm": CLIP},
        }
    )


def make_batch(options: argparse.Namespace, device: torch.device) -> Batch:
    generator = torch.Generator().manual_seed(1)
    grid = options.global_size // MODELS[options.model]["patch_size"]
    batch = Batch(
        torch.rand(2 * options.batch, 1, *(2 * [options.global_size]), generator=generator),
        torch.rand(options.locals * options.batch, 1, *(2 * [options.local_size]), generator=generator),
        torch.from_numpy(batch_masks(2 * options.batch, grid, np.random.default_rng(0))),
    )
    return Batch(*(part.to(device) for part in batch))


class Raydino:
    """The step of ``raydino pretrain``, as ``train.loop`` takes it."""

    def __init__(self, options: argparse.Namespace, device: torch.device) -> None:
        recipe = make_recipe(options)
        self.method = ScheduledDinoV2(recipe, mean=0.5, std=0.25).to(device)
        self.optimizer = make_optimizer(self.method.core.student, recipe.optimizer)

    def tune(self, options: argparse.Namespace, device: torch.device) -> str | None:
        """Set what ``runtime`` sets; returns why the blocks are not compiled, if they were to be."""
        core = self.method.core
        for network in (core.student, core.teacher):
            network.backbone.use_attention(options.attention, device)
        checkpoint_blocks(core.student.backbone, options.checkpoint_every)
        return compile_blocks(core, device) if options.compile else None

    def step(self, batch: Batch, amp: torch.autocast) -> Tensor:
        self.method.begin_step(1, self.optimizer)
        self.optimizer.zero_grad(set_to_none=True)
        with amp:
            (losses,) = self.method.losses(batch)
        losses["loss"].backward()
        clip_each(self.method.clipped_parts(), CLIP)
        self.optimizer.step()
        self.method.end_step()
        return losses["loss"].detach()


def seconds(work: Callable[[], Any], device: torch.device, clock: Clock) -> float:
    started = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - started


class Products:
    """The best rate of each distinct product of the model so far, in FLOP/s."""

    def __init__(self, products: list[Product], device: torch.device, dtype: torch.dtype, clock: Clock) -> None:
        self.device, self.clock = device, clock
        self.shapes = sorted({(p.rows, p.inner, p.columns) for p in products})
        self.pairs = {
            (rows, inner, columns): (
                torch.randn(rows, inner, device=device, dtype=dtype),
                torch.randn(columns, inner, device=device, dtype=dtype),
            )
            for rows, inner, columns in self.shapes
        }
        self.best = dict.fromkeys(self.shapes, 0.0)

    @torch.no_grad()
    def measure(self) -> None:
        for shape, (left, right) in self.pairs.items():
            for _ in range(3):
                taken = seconds(lambda left=left, right=right: F.linear(left, right), self.device, self.clock)
                self.best[shape] = max(self.best[shape], 2 * shape[0] * shape[1] * shape[2] / taken)

    def ideal_seconds(self, products: list[Product], rest: int) -> float:
        """Every product at its own best rate, the rest at the mean of these."""
        linear = sum(p.times * p.flops for p in products)
        taken = sum(p.times * p.flops / self.best[p.rows, p.inner, p.columns] for p in products)
        return taken * (1 + rest / linear)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="batch 2, 8,192 prototypes, fewer rounds")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", choices=MODELS, default="s14")
    parser.add_argument("--global-size", type=int, default=224)
    parser.add_argument("--local-size", type=int, help="98 for patches of 14 pixels, else 96")
    parser.add_argument("--locals", type=int, default=8, help="local crops of each film")
    parser.add_argument("--batch", type=int, help="films; 8")
    parser.add_argument("--prototypes", type=int)
    parser.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto")
    parser.add_argument("--attention", default="auto")
    parser.add_argument("--compile", action="store_true", help="torch.compile the blocks")
    parser.add_argument("--checkpoint-every", type=int, default=0, help="activation checkpointing of every n-th block")
    parser.add_argument("--threads", type=int, help="CPU threads; as torch chooses")
    parser.add_argument("--rounds", type=int, help="measured rounds; 7")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--no-reference", action="store_true", help="leave the straightforward step out")
    options = parser.parse_args()
    options.local_size = options.local_size or (98 if MODELS[options.model]["patch_size"] == 14 else 96)
    options.batch = options.batch or (2 if options.quick else 8)
    options.prototypes = options.prototypes or (8192 if options.quick else 65536)
    options.rounds = options.rounds or (3 if options.quick else 7)
    return options


def main() -> None:
    options = parse()
    keep_freed_memory()
    if options.threads:
        torch.set_num_threads(options.threads)
    device, clock = pick_device(options.device), CLOCKS[options.clock]
    amp = autocast(options.precision, device)
    half = options.precision == "bf16" or (options.precision == "auto" and has_bf16(device))
    batch = make_batch(options, device)
    ours = Raydino(options, device)
    vit = ours.method.recipe.vit
    products, rest = step_products(vit, options.prototypes, batch), other_flops(vit, batch)
    flops = sum(p.times * p.flops for p in products) + rest
    gemm = Products(products, device, torch.bfloat16 if half else torch.float32, clock)
    steps = {"raydino": ours.step}
    if not options.no_reference:
        steps["reference"] = Reference(ours.method.core, device, temperature=TEMPERATURE, momentum=MOMENTUM).step
    if reason := ours.tune(options, device):
        raise SystemExit(reason)
    first = {name: float(step(batch, amp)) for name, step in steps.items()}
    if max(first.values()) - min(first.values()) > 0.02 * abs(first["raydino"]):
        raise SystemExit(f"the two steps do not compute the same: first losses {first}")
    for _ in range(2 if options.quick else 4):  # until the heap has its size
        for step in steps.values():
            step(batch, amp)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        gemm.measure()
        for name, step in steps.items():
            taken[name].append(seconds(lambda step=step: step(batch, amp), device, clock))
    report(options, device, taken, flops, gemm, gemm.ideal_seconds(products, rest), first)


def report(
    options: argparse.Namespace,
    device: torch.device,
    taken: dict[str, list[float]],
    flops: float,
    gemm: Products,
    ideal: float,
    first: dict[str, float],
) -> None:
    rate = max(gemm.best.values())
    print(f"{flops / 1e12:.3f} TFLOP a step; products {rate / 1e9:.0f} GFLOP/s at best; first losses {first}")
    ratios: dict[str, float] = {}
    for name, all_seconds in taken.items():
        median, best = statistics.median(all_seconds), min(all_seconds)
        suffix = "" if name == "raydino" else f"_{name}"
        ratios[f"mfu{suffix}"] = round(flops / median / rate, 3)
        ratios[f"mfu_best{suffix}"] = round(flops / best / rate, 3)
        ratios[f"mfu_at_shapes{suffix}"] = round(ideal / median, 3)
        print(
            f"{name:>10}: {options.batch / median:.2f} images/s, MFU {flops / median / rate:.3f} "
            f"(best round {flops / best / rate:.3f}), {median:.2f} s, spread {max(all_seconds) / best:.2f}"
        )
    if "reference" in taken:
        ratios["vs_reference"] = round(statistics.median(taken["reference"]) / statistics.median(taken["raydino"]), 3)
    result: dict[str, Any] = {
        "benchmark": "ssl_step",
        "machine": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "config": vars(options),
        "ratios": ratios,
        "images_per_second": {n: round(options.batch / statistics.median(s), 3) for n, s in taken.items()},
        "seconds": {n: [round(x, 4) for x in s] for n, s in taken.items()},
        "tflop_per_step": round(flops / 1e12, 4),
        "gemm_gflops": {"x".join(map(str, shape)): round(best / 1e9) for shape, best in gemm.best.items()},
        "peak_mib": round(
            torch.cuda.max_memory_allocated(device) / 2**20
            if device.type == "cuda"
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        ),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
