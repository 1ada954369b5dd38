"""The reader: what an answer can look like, and the form in which it comes out.

Pure: a decoded JSON value goes in, a value comes out, and only `AnswerError` is raised. Both frameworks read every
answer through it.
"""

from hubmix.wire.chat.reply import read_reply
from hubmix.wire.chat.stream import StreamReader
from hubmix.wire.fields import read_usage
from hubmix.wire.values import (
    AnswerError,
    Delta,
    EmbeddingReply,
    RankedDocument,
    Reply,
    RerankReply,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from hubmix.wire.vectors import read_embeddings, read_rerank

__all__ = [
    "AnswerError", "Delta", "EmbeddingReply", "RankedDocument", "Reply", "RerankReply", "StreamReader", "ToolCall",
    "ToolCallDelta", "Usage", "read_embeddings", "read_reply", "read_rerank", "read_usage",
]  # fmt: skip
