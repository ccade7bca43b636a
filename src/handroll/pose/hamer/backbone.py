"""HaMeR's backbone: a plain vision transformer (ViT-H, as in ViTPose) that encodes a normalised crop as 192 tokens.

Axis letters: B crops; Y, X pixel rows and columns (256, 192); R, S patch rows and columns (16, 12); P pixels along a patch's
side (16); N = R * S tokens, row by row; C channels of a token; H attention heads, D channels of a head (C = H * D).

Y. Xu et al., "ViTPose", NeurIPS 2022, arXiv:2204.12484; A. Dosovitskiy et al., ICLR 2021, arXiv:2010.11929.
"""

import torch
from torch import nn
from torch.nn import functional

from handroll.pose.hamer.settings import PATCH_COLUMNS, PATCH_PX, PATCH_ROWS

NORM_EPS = 1e-6
"""Epsilon of every LayerNorm in the backbone. The head has another value."""

PADDING_PX = 2
"""Width (px) of the border of zeros around a crop before it is cut into patches. It shifts the patches, so the last two rows and columns of
the crop have no effect."""


class Attention(nn.Module):
    """Multi-head self-attention of the tokens."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens):
        """Apply self-attention to tokens (B, N, C)."""
        batch, count, dim = tokens.shape
        # (B, N, 3C) -> three of (B, H, N, D). The 3C channels are q, k and v, and each of them is divided into heads.
        q, k, v = self.qkv(tokens).view(batch, count, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(batch, count, dim))


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, tokens):
        """Apply the layers to each of the tokens (B, N, C)."""
        return self.fc2(functional.gelu(self.fc1(tokens)))


class Block(nn.Module):
    """Pre-norm transformer block. Norms and sums run in float32, matrix products in the type of their weights."""

    def __init__(self, sizes):
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.dim, NORM_EPS)
        self.attn = Attention(sizes.dim, sizes.heads)
        self.norm2 = nn.LayerNorm(sizes.dim, NORM_EPS)
        self.mlp = Mlp(sizes.dim, sizes.mlp_dim)

    def forward(self, tokens):
        """Add the outputs of the attention and of the MLP to tokens (B, N, C), float32."""
        dtype = self.attn.qkv.weight.dtype
        tokens = tokens + self.attn(self.norm1(tokens).to(dtype))
        return tokens + self.mlp(self.norm2(tokens).to(dtype))


class Backbone(nn.Module):
    """Vision transformer over the patches of a crop.

    Parameters
    ----------
    sizes : settings.BackboneSizes
    """

    def __init__(self, sizes):
        super().__init__()
        self.patch = nn.Conv2d(3, sizes.dim, PATCH_PX, stride=PATCH_PX, padding=PADDING_PX)
        self.register_buffer("position", torch.zeros(1, PATCH_ROWS * PATCH_COLUMNS, sizes.dim))
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.depth))
        self.last_norm = nn.LayerNorm(sizes.dim, NORM_EPS)

    def forward(self, images):
        """Encode crops as tokens.

        Parameters
        ----------
        images : float tensor (B, 3, Y, X)
            RGB, normalised: 0 is the mean colour of the training images.

        Returns
        -------
        float32 tensor (B, N, C)
        """
        images = images.to(self.patch.weight.dtype)
        # On the CPU, both functions are equally fast, and the convolution rounds like that of the released code. On a GPU, cuDNN's
        # convolutions round float32 to 10 bits (TF32) by default, but matrix products do not.
        embed = by_convolution if images.device.type == "cpu" else by_product
        tokens = embed(images, self.patch.weight, self.patch.bias) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.last_norm(tokens)


def by_convolution(images, weight, bias):
    """Embed the patches of images (B, 3, Y, X) as tokens (B, N, C) by a convolution with weight (C, 3, P, P) and bias (C)."""
    return functional.conv2d(images, weight, bias, stride=PATCH_PX, padding=PADDING_PX).flatten(2).transpose(1, 2)


def by_product(images, weight, bias):
    """Compute the tokens (B, N, C) of `by_convolution`, from the same arguments, with one matrix product."""
    # Zeros are added at the left and at the top. A negative padding crops the right and the bottom, so the image keeps its size.
    moved = functional.pad(images, (PADDING_PX, -PADDING_PX, PADDING_PX, -PADDING_PX))
    # (B, 3, R, P, S, P) -> (B, R, S, 3, P, P)
    cut = moved.reshape(-1, 3, PATCH_ROWS, PATCH_PX, PATCH_COLUMNS, PATCH_PX).permute(0, 2, 4, 1, 3, 5)
    return functional.linear(cut.reshape(-1, PATCH_ROWS * PATCH_COLUMNS, 3 * PATCH_PX * PATCH_PX), weight.flatten(1), bias)


def typed_backbone(state, dtype):
    """Convert the backbone's parameters to the types of inference: matrices and their biases to `dtype`, norms and positions to float32.

    Parameters
    ----------
    state : dict of str to tensor
        Parameters with the released names. Those that do not begin with `backbone.` are omitted.
    dtype : torch.dtype
        Type of the matrices and their biases.

    Returns
    -------
    dict of str to tensor
        Tensors that already have the right type are not copied.
    """
    own = {name: value for name, value in state.items() if name.startswith("backbone.")}
    return {name: value.to(torch.float32 if "norm" in name or "pos_embed" in name else dtype) for name, value in own.items()}


def backbone_state(state):
    """Rename the released parameters to this module's names.

    The released code has no class token, but it adds the position embedding of a class token to every token. Here this embedding is
    added to the other position embeddings once.

    Parameters
    ----------
    state : dict of str to tensor
        Parameters with the released names `backbone.*`; others are ignored.

    Returns
    -------
    dict of str to tensor, for `Backbone.load_state_dict`
    """
    own = {name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")}
    position = own.pop("pos_embed").float()
    return own | {
        "position": position[:, 1:] + position[:, :1],
        "patch.weight": own.pop("patch_embed.proj.weight"),
        "patch.bias": own.pop("patch_embed.proj.bias"),
    }
