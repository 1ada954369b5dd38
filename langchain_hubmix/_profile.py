"""What LangChain asks of a model's abilities, from the catalog. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from langchain_core.language_models import ModelProfile

    from hubmix.catalog import ModelInfo

_INPUTS = {"image": "image_inputs", "audio": "audio_inputs", "video": "video_inputs", "pdf": "pdf_inputs"}


def profile_of(info: ModelInfo) -> ModelProfile:
    """LangChain's profile of a model.

    Args:
        info: the model as the catalog knows it.

    Returns:
        Only what the hub says: a key that is missing means "not known". `create_agent` asks for native structured
        output where `structured_output` is true, and summarization reads `max_input_tokens`.
    """
    known: dict[str, Any] = {
        "name": info.name or info.id,
        "max_input_tokens": info.context_window,
        "max_output_tokens": info.max_output_tokens,
        "tool_calling": info.tools,
        "structured_output": info.structured_output,
        "reasoning_output": info.reasoning,
    }
    if info.input_modalities:
        known["text_inputs"] = "text" in info.input_modalities
        known.update({key: modality in info.input_modalities for modality, key in _INPUTS.items()})
    known.update({"image_inputs": info.vision} if info.vision is not None else {})
    return cast("ModelProfile", {key: value for key, value in known.items() if value is not None})
