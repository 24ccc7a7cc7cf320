"""One pretraining run: from a config and a dataset to a run directory, and on from its last checkpoint."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import yaml

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.encoder import EncoderCard
from raydino.artifacts.header import read_header, refuse_existing
from raydino.artifacts.run import RUN, start_run
from raydino.data.batches import StepBatches
from raydino.data.films import Films, mean_std
from raydino.data.loader import batches
from raydino.encoder import save_encoder
from raydino.errors import UserError
from raydino.ssl.network_file import save_network
from raydino.ssl.parent import open_parent
from raydino.ssl.recipe import PretrainConfig
from raydino.ssl.scheduled import ScheduledDinoV2
from raydino.tracking import TRACKERS, Tracker, show_picture
from raydino.train.alarm import Alarm
from raydino.train.bad_steps import BadSteps
from raydino.train.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from raydino.train.curves import CurvesTracker
from raydino.train.gallery import Gallery
from raydino.train.loop import run_steps
from raydino.train.optim import make_optimizer
from raydino.train.precision import autocast, keep_freed_memory, pick_device
from raydino.train.probe import Observer, Probe


class Run:
    """A run in progress: its directory, its state, and what happens beside the steps."""

    def __init__(self, config: PretrainConfig, dataset: Dataset, directory: Path) -> None:
        self.config, self.dataset, self.directory = config, dataset, directory
        self.device = pick_device(config.runtime.device)
        self.augmentation = config.recipe.augmentation.build()
        self.films = Films(dataset, dataset.sample_ids("train"))  # validation and test stay unseen
        if len(self.films) < config.recipe.batch_size:
            raise UserError(
                f"holds {len(self.films)} films to train on, fewer than a batch of {config.recipe.batch_size}",
                where=dataset.path,
                remedy="lower it with --set recipe.batch_size=…",
            )
        self.mean, self.std = mean_std(self.films)
        if self.std < 1e-3:
            raise UserError("its films are blank: all pixels are alike", where=dataset.path)
        recipe = config.recipe
        self.parent = open_parent(recipe.parent, recipe.vit, *recipe.heads) if recipe.parent else None
        if self.parent is not None:
            self.mean, self.std = self.parent.mean, self.parent.std
        self.method = ScheduledDinoV2(
            recipe,
            mean=self.mean,
            std=self.std,
            parent=self.parent,
            micro_batch_films=config.runtime.micro_batch_films,
        ).to(self.device)
        for backbone in self.method.backbones():
            backbone.use_attention(config.runtime.attention, self.device)
        self.optimizer = make_optimizer(self.method.core.student, config.recipe.optimizer)
        self.step = 0
        self.saved_step = -1
        self._tracker_kinds = [TRACKERS.get(name) for name in ("jsonl", *config.runtime.trackers)]
        self._trackers: list[Tracker] = []
        self.observers = self._make_observers()

    def start(self, *, overwrite: bool) -> None:
        """Make the directory a run."""
        refuse_existing(self.directory, overwrite=overwrite, schema=RUN)
        shutil.rmtree(self.directory, ignore_errors=True)  # an old encoder must not pass for the new run's
        recipe = self.config.recipe.resolved()
        start_run(self.directory, config=recipe, seed=self.config.recipe.seed, inputs=self._inputs)
        text = yaml.safe_dump(self.config.resolved(), sort_keys=False)
        (self.directory / "resolved.yaml").write_text(text, encoding="utf-8")

    def resume(self) -> None:
        """Continue where the newest checkpoint stands."""
        header = read_header(self.directory, RUN)
        if header.inputs != self._inputs:
            raise UserError("this run was made with another dataset or parent", where=self.directory)
        recipe = self.config.recipe.resolved()
        changed = [key for key in recipe if recipe[key] != header.config.get(key)]
        if changed:
            raise UserError(
                f"the recipe differs from the run's in {', '.join(changed)}",
                where=self.directory,
                remedy="resume with the config that started it (resolved.yaml), or start a new run",
            )
        path = newest_checkpoint(self._checkpoints)
        if path is None:
            return
        state = load_checkpoint(path)
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = self.saved_step = int(state["step"])

    def save(self) -> None:
        """Write a checkpoint and refresh ``encoder/``."""
        if self.saved_step == self.step:
            return
        state = {"method": self.method.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_checkpoint(self._checkpoints, self.step, state)
        vit = self.method.kept.backbone
        heads = self.config.recipe.heads
        save_network(self.directory / "teacher", self.method.kept.state_dict(), vit.config, *heads, step=self.step)
        card = EncoderCard(vit.config.resolved(), self.dataset.pixels, self.mean, self.std, self.step)
        save_encoder(self.directory / "encoder", vit, card, inputs=self._inputs, overwrite=True)
        self.saved_step = self.step

    def train(self, last_step: int, stop: threading.Event) -> None:
        """Take steps until ``last_step`` or until ``stop`` is set, then save."""
        recipe, runtime = self.config.recipe, self.config.runtime
        self._trackers = [kind(self.directory, resume_step=self.step) for kind in self._tracker_kinds]
        self._trackers += [CurvesTracker(self.directory), Alarm(self.directory, recipe.resolved())]
        source = self._batches(self.step, last_step)
        try:
            self.step = run_steps(
                self.method,
                self.optimizer,
                batches(source, n_workers=runtime.n_workers),
                first_step=self.step,
                last_step=last_step,
                clip_norm=recipe.optimizer.clip_norm,
                autocast=autocast(runtime.precision, self.device),
                trackers=self._trackers,
                log_every_steps=runtime.log_every_steps,
                on_step=self._after_step,
                bad_steps=BadSteps(
                    self.directory / "bad_batches", batch_size=recipe.batch_size, max_in_a_row=runtime.max_bad_steps
                ),
                stop=stop,
            )
        finally:
            for tracker in self._trackers:
                tracker.close()
        self.save()

    def _after_step(self, done: int) -> dict[str, float]:
        self.step = done
        runtime = self.config.runtime
        if done % runtime.checkpoint_every_steps == 0:
            self.save()
        if done % runtime.probe_every_steps == 0 or done == self.config.recipe.steps:
            return self._observe()
        return {}

    def _make_observers(self) -> list[Observer]:
        """Made before a resume, when the teacher still is the network before training."""
        teacher = self.method.kept.backbone
        gallery = Gallery(
            self.dataset,
            self.directory,
            start=teacher,
            show=lambda step, path: show_picture(self._trackers, step, path),
            mean=self.mean,
            std=self.std,
        )
        side = self.config.recipe.vit.image_size
        return [Probe(self.dataset, side, mean=self.mean, std=self.std), gallery]

    def _observe(self) -> dict[str, float]:
        teacher, batch = self.method.kept.backbone, self._batches(self.step - 1, self.step)[0]
        return {k: v for observer in self.observers for k, v in observer.measure(self.step, teacher, batch).items()}

    def _batches(self, first_step: int, last_step: int) -> StepBatches:
        return StepBatches(
            self.films,
            self.augmentation,
            batch_size=self.config.recipe.batch_size,
            patch_size=self.config.recipe.vit.patch_size,
            seed=self.config.recipe.seed,
            first_step=first_step,
            last_step=last_step,
        )

    @property
    def _checkpoints(self) -> Path:
        return self.directory / "checkpoints"

    @property
    def _inputs(self) -> dict[str, str]:
        inputs = {"dataset": self.dataset.header.fingerprint}
        return inputs if self.parent is None else {**inputs, "parent": self.parent.fingerprint}


def pretrain(
    config: PretrainConfig,
    dataset: Dataset,
    directory: Path,
    *,
    resume: bool,
    overwrite: bool,
    stop_after: int | None,
    stop: threading.Event,
) -> Run:
    """Start or resume the run in ``directory``; ``stop_after`` ends it early, after that many steps in all."""
    keep_freed_memory()
    if not resume:
        refuse_existing(directory, overwrite=overwrite, schema=RUN)
    run = Run(config, dataset, directory)
    if resume:
        run.resume()
    else:
        run.start(overwrite=overwrite)
    last_step = config.recipe.steps if stop_after is None else min(config.recipe.steps, stop_after)
    run.train(last_step, stop)
    return run
