"""The teacher of a run beside its checkpoints, whole, for whoever wants no shards.

``encoder/`` is an encoder artifact (the backbone), ``teacher/`` the network with both heads. Both are
refreshed at every checkpoint and hold one file of weights each, whatever the number of ranks.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from raydino.artifacts.encoder import EncoderCard
from raydino.encoder import save_encoder
from raydino.errors import UserError
from raydino.nn.vit import VisionTransformer, ViTConfig
from raydino.ssl.network import Network
from raydino.ssl.network_file import save_network
from raydino.ssl.recipe import PretrainConfig
from raydino.train.distributed import is_main
from raydino.train.parallel import is_sliced, whole_state


class TeacherFiles:
    """Writes a run's teacher on rank 0. All ranks must call each method, after the same step."""

    def __init__(self, directory: Path, config: PretrainConfig, inputs: dict[str, str]) -> None:
        self._directory, self._config, self._inputs = directory, config, inputs

    def write(self, teacher: Network, card: EncoderCard) -> None:
        """Refresh ``encoder/`` and ``teacher/``. Raises UserError when the disk does not take them."""
        state = whole_state(teacher)
        if not is_main():
            return
        head = "backbone."
        vit = _filled(
            teacher.backbone.config, {n.removeprefix(head): t for n, t in state.items() if n.startswith(head)}
        )
        sizes = self._config.recipe.vit, *self._config.recipe.heads
        try:
            save_encoder(self._directory / "encoder", vit, card, inputs=self._inputs, overwrite=True)
            save_network(self._directory / "teacher", state, *sizes, step=card.steps or 0)
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"the teacher of step {card.steps} cannot be written ({' '.join(str(error).split())[:150]})",
                where=self._directory,
                remedy="free space and continue with --resume: the last good checkpoint is intact",
            ) from error

    def backbone(self, teacher: Network) -> VisionTransformer | None:
        """The teacher's backbone in a form that rank 0 can call alone; None on the others."""
        if not is_sliced(teacher):
            return teacher.backbone if is_main() else None
        state = whole_state(teacher.backbone)
        if not is_main():
            return None
        device = teacher.backbone.cls_token.device
        vit = _filled(teacher.backbone.config, state).to(device)
        vit.use_attention(self._config.runtime.attention, device)
        return vit


def _filled(config: ViTConfig, state: dict[str, Tensor]) -> VisionTransformer:
    vit = VisionTransformer(config).requires_grad_(False)
    vit.load_state_dict(state)
    return vit
