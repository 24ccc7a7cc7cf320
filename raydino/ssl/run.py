"""One pretraining run: from a config and a dataset to a run directory, and on from its last checkpoint.

Every rank of a run goes through the same calls; rank 0 alone writes into the directory.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import yaml

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.encoder import EncoderCard
from raydino.artifacts.header import read_header, refuse_existing
from raydino.artifacts.run import RUN, start_run
from raydino.data.batches import Batch, StepBatches
from raydino.data.films import Films, mean_std
from raydino.data.loader import batches, explaining_dead_workers
from raydino.data.pool import Pool
from raydino.errors import UserError
from raydino.nn.block import checkpoint_blocks
from raydino.nn.compiled import compile_blocks
from raydino.ssl.parent import open_parent
from raydino.ssl.recipe import PretrainConfig
from raydino.ssl.scheduled import ScheduledDinoV2
from raydino.ssl.teacher_files import TeacherFiles
from raydino.tracking import TRACKERS, Tracker, console, show_picture
from raydino.train.alarm import Alarm
from raydino.train.bad_steps import BadSteps
from raydino.train.checkpoint import Checkpoints, newest_checkpoint, read_facts
from raydino.train.curves import CurvesTracker
from raydino.train.distributed import is_main, local_rank, local_world_size, rank, wait_for_all, world_size
from raydino.train.gallery import Gallery
from raydino.train.loop import run_steps
from raydino.train.optim import make_optimizer
from raydino.train.pace import Pace
from raydino.train.parallel import parallelise
from raydino.train.precision import autocast, has_bf16, keep_freed_memory, pick_device
from raydino.train.probe import Observer, Probe
from raydino.train.state import restore, state_tensors
from raydino.train.stopping import Stop


class Run:
    """A run in progress: its directory, its state, and what happens beside the steps."""

    def __init__(self, config: PretrainConfig, dataset: Dataset, directory: Path, pool: Pool | None = None) -> None:
        self.config, self.dataset, self.directory = config, dataset, directory
        self.pool = pool or Pool.of(dataset)
        recipe, runtime = config.recipe, config.runtime
        self.device = pick_device(runtime.device, local_rank=local_rank())
        self.autocast = autocast(runtime.precision, self.device)
        self.augmentation = recipe.augmentation.build()
        cache_bytes = int(runtime.film_cache_gib * 2**30 / local_world_size())
        self.films = Films(dataset, self.pool.sample_ids, cache_bytes=cache_bytes)
        self._check_batch()
        self.parent = open_parent(recipe.parent, recipe.vit, *recipe.heads) if recipe.parent else None
        if self.parent is None:
            self.mean, self.std = mean_std(self.films)
            if self.std < 1e-3:
                raise UserError("its films are blank: all pixels are alike", where=dataset.path)
        else:
            self.mean, self.std = self.parent.mean, self.parent.std
        self.method = self._make_method()
        self.optimizer = make_optimizer(self.method.core.student, recipe.optimizer)
        self.checkpoints = Checkpoints(directory / "checkpoints")
        self.teacher_files = TeacherFiles(directory, config, self._inputs)
        self.step = 0
        self.saved_step = -1
        self._tracker_kinds = [TRACKERS.get(name) for name in ("jsonl", *runtime.trackers)] if is_main() else []
        self._trackers: list[Tracker] = []
        self._batch: Batch | None = None
        self.observers = self._make_observers()

    def start(self, *, overwrite: bool) -> None:
        """Make the directory a run."""
        if is_main():
            refuse_existing(self.directory, overwrite=overwrite, schema=RUN)
            shutil.rmtree(self.directory, ignore_errors=True)  # an old encoder must not pass for the new run's
            recipe = self.config.recipe.resolved()
            start_run(self.directory, config=recipe, seed=self.config.recipe.seed, inputs=self._inputs)
            text = yaml.safe_dump(self.config.resolved(), sort_keys=False)
            (self.directory / "resolved.yaml").write_text(text, encoding="utf-8")
        wait_for_all()

    def resume(self) -> None:
        """Continue where the newest checkpoint stands."""
        header = read_header(self.directory, RUN)
        if header.inputs != self._inputs:
            raise UserError("this run was made with another dataset, selection or parent", where=self.directory)
        recipe = self.config.recipe.resolved()
        changed = [key for key in recipe if recipe[key] != header.config.get(key)]
        if changed:
            raise UserError(
                f"the recipe differs from the run's in {', '.join(changed)}",
                where=self.directory,
                remedy="resume with the config that started it (resolved.yaml), or start a new run",
            )
        path = newest_checkpoint(self.checkpoints.directory)
        wait_for_all()  # nobody writes before everybody has looked
        if path is None:
            return
        self.step = self.saved_step = int(read_facts(path)["step"])
        restore(path, self.method, self.optimizer)

    def save(self) -> None:
        """Begin to write a checkpoint, and refresh the teacher's files."""
        if self.saved_step == self.step:
            return
        tensors = state_tensors(self.method, self.optimizer)
        self.checkpoints.save(self.step, tensors, {"parallel": self.parallel})
        card = EncoderCard(self.config.recipe.vit.resolved(), self.dataset.pixels, self.mean, self.std, self.step)
        self.teacher_files.write(self.method.kept, card)
        self.saved_step = self.step

    def train(self, last_step: int, stop: Stop) -> None:
        """Take steps until ``last_step`` or until ``stop`` is set, then save."""
        recipe, runtime = self.config.recipe, self.config.runtime
        self._trackers = [kind(self.directory, resume_step=self.step) for kind in self._tracker_kinds]
        if is_main():
            self._trackers += [CurvesTracker(self.directory), Alarm(self.directory, recipe.resolved())]
        bad_steps = BadSteps(
            self.directory / "bad_batches", batch_size=recipe.batch_size, max_in_a_row=runtime.max_bad_steps
        )
        try:
            with closing(self._batches(last_step)) as made:
                self.step = run_steps(
                    self.method,
                    self.optimizer,
                    made,
                    first_step=self.step,
                    last_step=last_step,
                    clip_norm=recipe.optimizer.clip_norm,
                    autocast=self.autocast,
                    trackers=self._trackers,
                    log_every_steps=runtime.log_every_steps,
                    on_step=self._after_step,
                    bad_steps=bad_steps,
                    stop=stop,
                    pace=Pace(recipe.batch_size, self.device),
                )
        finally:
            for tracker in self._trackers:
                tracker.close()
        self.save()
        self.checkpoints.wait()

    def _batches(self, last_step: int) -> Generator[Batch]:
        """This rank's share of every batch; the newest is kept for the observers."""
        recipe, runtime = self.config.recipe, self.config.runtime
        source = StepBatches(
            self.films,
            self.augmentation,
            batch_size=recipe.batch_size,
            patch_size=recipe.vit.patch_size,
            seed=recipe.seed,
            first_step=self.step,
            last_step=last_step,
            masking=recipe.masking,
            order=self.pool.order(recipe.seed),
            rank=rank(),
            world_size=world_size(),
        )
        loaded = batches(source, n_workers=runtime.n_workers, device=self.device, augment_on=runtime.augment_on)
        for batch in loaded:
            self._batch = batch
            yield batch

    def _after_step(self, done: int) -> dict[str, float]:
        self.step = done
        runtime = self.config.runtime
        self.checkpoints.poll()
        if done % runtime.checkpoint_every_steps == 0:
            self.save()
        if done % runtime.probe_every_steps == 0 or done == self.config.recipe.steps:
            return self._observe()
        return {}

    def _observe(self) -> dict[str, float]:
        """What the observers say of the teacher; they stand on rank 0, the others wait at the next collective."""
        teacher = self.teacher_files.backbone(self.method.kept)
        if teacher is None:
            return {}
        measured = [observer.measure(self.step, teacher, self._batch) for observer in self.observers]
        return {name: value for metrics in measured for name, value in metrics.items()}

    def _make_method(self) -> ScheduledDinoV2:
        """The networks, on the device, spread over the ranks."""
        recipe, runtime = self.config.recipe, self.config.runtime
        method = ScheduledDinoV2(
            recipe,
            mean=self.mean,
            std=self.std,
            parent=self.parent,
            micro_batch_films=runtime.micro_batch_films,
        ).to(self.device)
        for backbone in method.backbones():
            backbone.use_attention(runtime.attention, self.device)
        checkpoint_blocks(method.core.student, runtime.recompute_every_blocks)
        if runtime.compile and (reason := compile_blocks(method.core, self.device)) and is_main():
            console.print(f"blocks are not compiled: {reason}", style="yellow", markup=False, soft_wrap=True)
        self.parallel = parallelise(
            method.core.student,
            method.core.untrained(),
            runtime.parallel,
            device=self.device,
            bf16=runtime.precision == "bf16" or (runtime.precision == "auto" and has_bf16(self.device)),
            shard_ranks=runtime.shard_ranks,
        )
        return method

    def _make_observers(self) -> list[Observer]:
        """On rank 0; made before a resume, when the kept network still is the one before training."""
        start = self.teacher_files.backbone(self.method.kept)
        if start is None:
            return []
        side = self.config.recipe.vit.image_size
        gallery = Gallery(
            self.dataset,
            self.directory,
            start=start,
            show=lambda step, path: show_picture(self._trackers, step, path),
            mean=self.mean,
            std=self.std,
        )
        return [Probe(self.dataset, side, mean=self.mean, std=self.std), gallery]

    def _check_batch(self) -> None:
        batch_size = self.config.recipe.batch_size
        if len(self.films) < batch_size:
            raise UserError(
                f"holds {len(self.films)} films to train on, fewer than a batch of {batch_size}",
                where=self.dataset.path,
                remedy="lower it with --set recipe.batch_size=…",
            )
        if batch_size % world_size():
            raise UserError(
                f"recipe.batch_size {batch_size} does not divide among {world_size()} processes",
                remedy="it is the batch of all processes together; choose a multiple, or another number of them",
            )

    @property
    def _inputs(self) -> dict[str, str]:
        inputs = {"dataset": self.dataset.header.fingerprint, **self.pool.inputs}
        return inputs if self.parent is None else {**inputs, "parent": self.parent.fingerprint}


def pretrain(
    config: PretrainConfig,
    dataset: Dataset,
    directory: Path,
    *,
    resume: bool,
    overwrite: bool,
    stop_after: int | None,
    stop: Stop,
    pool: Pool | None = None,
) -> Run:
    """Start or resume the run in ``directory``; ``stop_after`` ends it early, after that many steps in all.

    ``pool`` says which films it reads and how often; None for every training film once an epoch.

    With several processes all of them call this, with the same arguments.
    """
    keep_freed_memory()
    if not resume:
        refuse_existing(directory, overwrite=overwrite, schema=RUN)
    wait_for_all()  # nobody writes before everybody has looked
    run = Run(config, dataset, directory, pool)
    try:
        if resume:
            run.resume()
        else:
            run.start(overwrite=overwrite)
        last_step = config.recipe.steps if stop_after is None else min(config.recipe.steps, stop_after)
        with explaining_dead_workers():
            run.train(last_step, stop)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                "the disk is full; the last good checkpoint is intact",
                where=directory,
                remedy="free space and continue with --resume",
            ) from error
        raise
    finally:
        run.checkpoints.close()
    return run
