"""Common parts of the networks that denoise hand poses: their settings and the encoding of their condition.

Denoisers of one interface are interchangeable in `models.two_stage.TwoStage` and in training: `models.gesture.GestureUNet` and
`models.mixer.GestureMixer`.

Axis letters: B clip in batch; T frame; M channel of the motion; F audio feature; C width of the condition; G channel of the guide.
"""

from dataclasses import dataclass

from torch import nn

from handroll.models.audio_context import FeatureContext
from handroll.models.memory_decoder import new_decoder
from handroll.models.objectives import check_objective


@dataclass(frozen=True)
class DenoiserSettings:
    """Settings that all denoisers have. The defaults are those of the paper's base model.

    Attributes
    ----------
    features : int
        Number of audio features of a frame (F).
    condition_width : int
        Number of channels of the condition (C).
    context_layers : int
        Number of residual blocks of the `FeatureContext`. Use 0 for features of a speech encoder; F must equal C then.
    decoder : str
        Decoder of the condition, one of `memory_decoder.KINDS`.
    layers, state, feedforward : int
        Sizes of the decoder; see `memory_decoder.new_decoder`.
    channels : int
        Number of channels of the motion (M): the right hand's rotations, then the left hand's.
    guide : int
        Number of channels of the guide (G): the positions of both hands.
    dropout : float
        Dropout rate of the context and the decoder.
    objective : str
        Meaning of the output, one of `objectives.OBJECTIVES`.
    """

    features: int
    condition_width: int = 768
    context_layers: int = 0
    decoder: str = "transformer"
    layers: int = 4
    state: int = 8
    feedforward: int = 2048
    channels: int = 96
    guide: int = 6
    dropout: float = 0.1
    objective: str = "v"


class Denoiser(nn.Module):
    """Base class of denoisers. It encodes the condition. Subclasses define `forward(noisy, step, condition, guide)`.

    Parameters
    ----------
    settings : DenoiserSettings

    Raises
    ------
    ValueError
        The settings contain an unknown objective or decoder, or sizes that do not match.
    """

    def __init__(self, settings):
        super().__init__()
        check_objective(settings.objective)
        self.settings = settings
        condition = settings.condition_width
        self.context = FeatureContext(settings.features, condition, settings.context_layers, settings.dropout)
        self.decoder = new_decoder(settings.decoder, condition, settings.layers, settings.state, settings.feedforward, settings.dropout)
        self.project_motion = nn.Linear(settings.channels, condition)

    def encode_condition(self, features, released=False):
        """Encode audio features as the condition of the denoiser. The condition is the same for all sampling steps of a clip.

        Parameters
        ----------
        features : tensor (B, T, F)
        released : bool
            Mask the self-attention as the released code does; see `memory_decoder`.

        Returns
        -------
        tensor (B, C, T)
        """
        return self.decoder(self.context(features), released=released).transpose(1, 2)
