"""DINOv2's training objective: student and teacher, and the losses of one batch.

The teacher sees the two global crops whole; the student sees the globals with masked patches, and
the local crops. Losses: DINO on class tokens, iBOT on masked patches, KoLeo on the student's global
class tokens, and Gram anchoring of its patches where asked for. Papers: DINOv2 (2304.07193) §4.

A batch may be worked on in micro-batches of films; the result is that of the whole batch. The teacher goes first
over all of them, so that centring sees the whole batch. Then the student takes one after the other, each with its own
backward pass. DINO, iBOT and Gram terms add up over films. KoLeo does not: its gradient with respect to all class
tokens is found in a first pass without graph and handed to each micro-batch (as GradCache 2101.06983 does for
contrastive losses).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from raydino.config import Config
from raydino.data.batches import Batch
from raydino.nn.drop_path import set_drop_path
from raydino.nn.vit import VisionTransformer
from raydino.ssl.assignments import prototypes_used, target_entropy
from raydino.ssl.centring import MovingAverageConfig, SinkhornConfig, make_centring
from raydino.ssl.losses.dino import dino_loss
from raydino.ssl.losses.gram import gram_loss
from raydino.ssl.losses.ibot import ibot_loss
from raydino.ssl.losses.koleo import koleo_in_groups
from raydino.ssl.micro_batch import split_films
from raydino.ssl.network import Network
from raydino.ssl.teacher import update_teacher

_WATCHED_PATCHES = 1024  # about so many, spread over the batch, give the entropy that is logged


class LossWeights(Config):
    """DINOv2's weights; CheXFound (papers.md 2.3) takes ibot 3."""

    dino: float = Field(default=1.0, ge=0)
    ibot: float = Field(default=1.0, ge=0)
    koleo: float = Field(default=0.1, ge=0)
    # Films among which KoLeo seeks the nearest neighbour, a divisor of the batch; None: the whole batch, over all
    # processes. DINOv2 takes the films of one GPU (32 in vitl14).
    koleo_group_films: int | None = Field(default=None, ge=2)


class Targets(NamedTuple):
    """What the teacher says of a micro-batch: cls [2, b, K] and scored patches [M, K], each row a distribution."""

    cls: Tensor
    patches: Tensor


class KoleoGradient(NamedTuple):
    """KoLeo of the whole batch, and its gradient for the class tokens [2b, D] of each micro-batch."""

    value: Tensor
    gradients: list[Tensor]


class DinoV2(nn.Module):
    """Student, teacher and what lies between them.

    Without ``frozen_teacher`` the teacher is a moving average of the student (same initial weights, never trained by
    gradient), and it is what is kept. With one (distillation) the student sees no mask, and its average
    is kept beside the teacher. ``gram_teacher`` is a backbone, or None for no Gram term.
    """

    def __init__(
        self,
        student: Network,
        weights: LossWeights,
        *,
        mean: float,
        std: float,
        centring: SinkhornConfig | MovingAverageConfig = SinkhornConfig(),
        drop_path: float = 0.0,
        frozen_teacher: Network | None = None,
        distilled_patches: Literal["all", "drawn"] = "all",
        gram_teacher: VisionTransformer | None = None,
    ) -> None:
        super().__init__()
        self.weights = weights
        self.mean, self.std = mean, std
        self.distilled_patches = distilled_patches
        self.drop_path = drop_path  # of the student alone
        self.student = student
        set_drop_path(student.backbone, drop_path)
        self.teacher = student.twin() if frozen_teacher is None else frozen_teacher
        self.average = None if frozen_teacher is None else student.twin()
        self.gram_teacher = gram_teacher
        self.cls_centring = make_centring(centring, student.head_configs["dino_head"].n_prototypes)
        self.patch_centring = make_centring(centring, student.head_configs["ibot_head"].n_prototypes)

    @property
    def kept(self) -> Network:
        """The moving average of the student: what a run is for."""
        return self.teacher if self.average is None else self.average

    def untrained(self) -> list[nn.Module]:
        """The networks beside the student, which no gradient trains."""
        return [network for network in (self.teacher, self.average, self.gram_teacher) if network is not None]

    def losses(
        self,
        batch: Batch,
        temperature: float,
        *,
        gram_weight: float = 0.0,
        micro_batch_films: int | None = None,
        before_student: Callable[[int], None] = lambda part: None,
    ) -> Iterator[dict[str, Tensor]]:
        """For each micro-batch its addends to the weighted terms and to their sum ``loss``.

        Backpropagate each ``loss`` before asking for the next; the sums over all are the batch's. The first brings
        what the targets of the whole batch look like (``ssl.assignments``). ``before_student(i)`` is called
        before each of the student's passes over micro-batch ``i``.
        """
        parts = split_films(batch._replace(**self._normalised(batch)), micro_batch_films)
        targets, watched = self._targets(parts, temperature)
        koleo = self._koleo_first(parts, before_student)
        for index, (part, wanted) in enumerate(zip(parts, targets, strict=True)):
            before_student(index)
            share = len(part.masks) / len(batch.masks)
            seen = self.student(part.global_crops, self._hidden(part), self._scored(part), part.local_crops)
            by_film = (2, len(part.masks) // 2)
            dino_global, dino_local = dino_loss(
                wanted.cls,
                seen.global_scores.unflatten(0, by_film),
                seen.local_scores.unflatten(0, (len(seen.local_scores) // by_film[1], by_film[1])),
            )
            terms = {
                "dino_global": self.weights.dino * share * dino_global,
                "dino_local": self.weights.dino * share * dino_local,
                "ibot": self.weights.ibot * self._ibot(part, wanted.patches, seen.patch_scores, len(batch.masks)),
                "koleo": self.weights.koleo * self._koleo(seen.cls, koleo, index, share),
            }
            if gram_weight and self.gram_teacher is not None:
                with torch.no_grad():
                    anchor = self.gram_teacher(part.global_crops).patches
                terms["gram"] = gram_weight * share * gram_loss(seen.patches, anchor)
            yield {"loss": torch.stack(list(terms.values())).sum(), **terms, **(watched if index == 0 else {})}

    @torch.no_grad()
    def _targets(self, parts: Sequence[Batch], temperature: float) -> tuple[list[Targets], dict[str, Tensor]]:
        """Of every micro-batch, and what they look like together; each centring sees the scores of them all."""
        cls, patches = [], []
        for part in parts:
            seen = self.teacher(part.global_crops, None, self._scored(part), None)
            cls.append(seen.global_scores)
            patches.append(seen.patch_scores)
        sizes = [len(scores) for scores in cls], [len(scores) for scores in patches]
        cls_scores, patch_scores = torch.cat(cls), torch.cat(patches)
        del cls, patches, seen  # the scores of all patches are the largest thing here
        cls_targets = self.cls_centring.targets(cls_scores, temperature)
        patch_targets = self.patch_centring.targets(patch_scores, temperature)
        watched = {
            "teacher_entropy": target_entropy(cls_targets),
            "teacher_entropy_patch": target_entropy(patch_targets[:: max(1, len(patch_targets) // _WATCHED_PATCHES)]),
            "prototypes_used": prototypes_used(cls_scores, temperature),
        }
        cut = zip(cls_targets.split(sizes[0]), patch_targets.split(sizes[1]), strict=True)
        return [Targets(c.unflatten(0, (2, -1)), p) for c, p in cut], watched

    def _ibot(self, part: Batch, targets: Tensor, scores: Tensor, n_crops: int) -> Tensor:
        # DINOv2's code scales by 2 global crops and divides by 2 of them: the factor is 1.
        scored = self._scored(part)
        weights = (1.0 / scored.sum(dim=1).clamp_min(1))[:, None].expand_as(scored)[scored]
        return ibot_loss(targets, scores, weights, n_images=n_crops)

    def _koleo_first(self, parts: Sequence[Batch], before_student: Callable[[int], None]) -> KoleoGradient | None:
        """KoLeo over micro-batches; None where each of them can be taken by itself."""
        group = self.weights.koleo_group_films
        whole_groups = group is not None and all(len(part.masks) // 2 % group == 0 for part in parts)
        if len(parts) == 1 or whole_groups or not self.weights.koleo:
            return None
        cls = []
        for index, part in enumerate(parts):
            before_student(index)
            nothing = torch.zeros_like(part.masks)
            # Drop-path's draws follow one another through both sizes of crops: to repeat them, both have to be there.
            local_crops = part.local_crops if self.drop_path else None
            with torch.no_grad():
                seen = self.student(part.global_crops, self._hidden(part), nothing, local_crops)
            cls.append(seen.cls.unflatten(0, (2, -1)))
        cls_2BD = torch.cat(cls, dim=1).requires_grad_()
        value = koleo_in_groups(cls_2BD, group)
        (gradient,) = torch.autograd.grad(value, cls_2BD)
        return KoleoGradient(
            value.detach(), [part.flatten(0, 1) for part in gradient.split([c.shape[1] for c in cls], dim=1)]
        )

    def _koleo(self, cls: Tensor, first: KoleoGradient | None, index: int, share: float) -> Tensor:
        """This micro-batch's part of KoLeo: in value its share, in gradient its own."""
        if first is None:
            return share * koleo_in_groups(cls.unflatten(0, (2, -1)), self.weights.koleo_group_films)
        linear = (cls * first.gradients[index]).sum()
        return share * first.value + (linear - linear.detach())

    def _hidden(self, batch: Batch) -> Tensor:
        return batch.masks if self.average is None else torch.zeros_like(batch.masks)

    def _scored(self, batch: Batch) -> Tensor:
        distils_all = self.average is not None and self.distilled_patches == "all"
        return torch.ones_like(batch.masks) if distils_all else batch.masks

    def _normalised(self, batch: Batch) -> dict[str, Tensor]:
        crops = {"global_crops": batch.global_crops, "local_crops": batch.local_crops}
        return {name: (values - self.mean) / self.std for name, values in crops.items()}

    def take_gram_teacher(self) -> None:
        """The current moving average becomes the Gram teacher."""
        if self.gram_teacher is not None:
            update_teacher(self.gram_teacher, self.kept.backbone, momentum=0.0)

    def end_step(self, momentum: float) -> None:
        """After the optimiser: move the average towards the student, and the centres towards their batch."""
        update_teacher(self.kept, self.student, momentum)
        self.cls_centring.end_step()
        self.patch_centring.end_step()
