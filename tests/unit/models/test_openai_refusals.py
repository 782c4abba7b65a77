"""The meaning of each refusal, in the forms in which OpenAI and servers that speak its wire send it."""

from __future__ import annotations

import pytest

from emulators.openai.chat_server import FAILURES
from kernel_service.errors import VendorUnavailable
from kernel_service.models.openai_refusals import (
    Refusal,
    bare_error,
    meaning_of,
    read_failure,
    unsupported,
)
from kernel_service.models.openai_requests import OPTIONAL
from kernel_service.ports.model import (
    BAD_TOOL,
    CONTEXT_TOO_LONG,
    FOREIGN_REASONING,
    ModelRejectedError,
    UnusableAnswerError,
)


def meaning(status: int, body: object) -> str:
    means = meaning_of(Refusal.read(status, body))
    if isinstance(means, UnusableAnswerError):
        return means.flaw
    return means.problem if isinstance(means, VendorUnavailable) else means.code


def error(
    message: str = "", code: object = None, param: object = None, kind: object = "invalid_request_error"
) -> object:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


TOO_LONG = [
    (400, error("Your input exceeds the context window of this model.", "context_length_exceeded", "input")),
    (400, {"object": "error", "message": "This model's maximum context length is 8192 tokens. However, you requested "
           "12000 tokens (8000 in the messages, 4000 in the completion).", "type": "BadRequestError", "code": 400}),
    (400, error("request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it", 400,
                kind="exceed_context_size_error")),
    (500, error("Context size has been exceeded.", 500, kind="server_error")),
    (413, "<html><h1>413 Request Entity Too Large</h1></html>"),
    (413, error("Request too large for model `x` in organization `o` on tokens per minute (TPM): Limit 6000, Requested "
                "7591", "rate_limit_exceeded", kind="tokens")),
    (429, error("Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested "
                "30601. The input or output tokens must be reduced in order to run successfully.",
                "rate_limit_exceeded", kind="tokens")),
    (400, {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 213462 tokens > "
           "200000 maximum"}}),
    (400, error("The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)", 400)),
    (400, error("Invalid 'input[3].output': string too long. Expected a string with maximum length 10485760, but got a "
                "string with length 12000000 instead.", "string_above_max_length", "input[3].output")),
    (400, error("Invalid 'input': array too long.", "array_above_max_length", "input")),
    (400, error("litellm.ContextWindowExceededError: context window exceeded", "400", kind=None)),
    (422, {"detail": "Input is too long for requested model."}),
    (400, error("Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.")),
    (400, error("Please reduce the length of the messages or completion.")),
    (500, error("Requested tokens (3000) exceed context window of 2048", None, kind="internal_server_error")),
    (400, error("Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with "
                "context length of only 4096 tokens, which is not enough.")),
    (400, {"object": "error", "message": "The input (5000 tokens) is longer than the model's context length (4096 "
           "tokens).", "type": "BadRequestError", "code": 400}),
    (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` "
           "tokens and 100 `max_new_tokens`", "error_type": "validation"}),
    (400, {"object": "error", "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context "
           "length", "type": "invalid_request_error", "code": "3051"}),
    (400, error("Prompt length 5000 is greater than max_seq_len 4096")),
]  # fmt: skip
REASONING = [
    (400, error("The encrypted content gAAA...DQ== could not be verified.", "invalid_encrypted_content")),
    (400, error("The encrypted content for item rs_037e could not be verified.", "invalid_encrypted_content", "")),
    (400, {"message": '{"error":{"message":"The encrypted content for item rs_0 could not be verified."}} tid:1',
           "type": "400"}),
    (400, error("Item 'rs_1' of type 'reasoning' was provided without its required following item.", param="input")),
    (400, error("Item 'msg_1' of type 'message' was provided without its required 'reasoning' item: 'rs_1'.")),
    (404, error("Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.", param="input")),
    (400, error("Invalid value: 'reasoning'. Supported values are: 'message' and 'function_call'.", "invalid_value",
                "input[1].type")),
    (400, error("Missing required parameter: 'input[4].summary'.", "missing_required_parameter", "input[4].summary")),
    (400, error("Invalid value: 'compaction'. Supported values are: 'message', 'x'.", "invalid_value", "input[0]")),
    (400, error("Unknown compaction item.", param="input[0]")),
    (400, error("Invalid `signature` in `thinking` block", kind="invalid_request_error")),
]  # fmt: skip
TOOLS = [
    (400, error("Invalid schema for function 'X'", "invalid_function_parameters", "tools[3].parameters")),
    (400, error("Invalid 'tools[0].name': string too long.", "string_above_max_length", "tools[0].name")),
    (400, error("Invalid schema for function 'X': array schema missing items.")),
]
UNPAID = [
    (402, error("Insufficient credits", 402)),
    (402, "Payment Required"),
    (402, {"error": {"message": "x", "code": "insufficient_credits"}}),
    (429, error("You exceeded your current quota, please check your plan", "insufficient_quota", kind="x")),
    (400, error("Billing hard limit has been reached", "billing_hard_limit_reached")),
    (429, error("Your account is not active, please check your billing details.", "billing_not_active")),
    (400, error("Your credit balance is too low to access the API.")),
]  # fmt: skip
OTHERS = [
    (401, error("Incorrect API key provided.", "invalid_api_key"), "model_rejects_key"),
    (403, error("Country, region, or territory not supported", "unsupported_country"), "model_rejects_key"),
    (403, error('Your input was flagged for "violence"', 403), "http_403"),
    (404, "<html>", "model_unavailable"),
    (404, error("The model `x` does not exist or you do not have access to it.", "model_not_found"), "model_not_found"),
    (400, error("The requested model 'x' does not exist.", "model_not_found", "model"), "model_not_found"),
    (408, "", "model_unavailable"),
    (409, error("conflict"), "model_unavailable"),
    (429, error("Rate limit reached for requests.", "rate_limit_exceeded", kind="requests"), "model_busy"),
    (429, error("Tokens per minute limit exceeded - too many tokens processed."), "model_busy"),
    (429, error("Rate limit: exceeds the limit of 60 requests"), "model_busy"),
    (500, error("The server had an error", "server_error"), "model_unavailable"),
    (501, "", "model_unavailable"),
    (503, error("Slow down", "slow_down"), "model_unavailable"),
    (529, error("Overloaded", kind="overloaded_error"), "model_unavailable"),
    *((status, "", "model_moved") for status in (301, 302, 303, 307, 308)),
    (304, "", "model_unavailable"),
    (400, error("Invalid prompt: flagged", "invalid_prompt"), "invalid_prompt"),
    (400, error("filtered", "content_filter"), "content_filter"),
    (400, error("The image data you provided does not represent a valid image.", "invalid_image_format"),
     "invalid_image_format"),
    (400, error("nobody knows why"), "http_400"),
    (422, [1, 2], "http_422"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "meant"),
    [
        *((*each, CONTEXT_TOO_LONG) for each in TOO_LONG),
        *((*each, FOREIGN_REASONING) for each in REASONING),
        *((*each, BAD_TOOL) for each in TOOLS),
        *((*each, "model_unpaid") for each in UNPAID),
        *OTHERS,
    ],
)
def test_each_refusal_means(status: int, body: object, meant: str) -> None:
    assert meaning(status, body) == meant


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (error("Unsupported parameter: 'reasoning.effort' is not supported with this model.", "unsupported_parameter",
               "reasoning.effort"), "reasoning"),
        (error("Unsupported value: 'reasoning.effort' does not support 'minimal'.", "unsupported_value",
               "reasoning.effort"), "reasoning"),
        (error("Unrecognized request argument supplied: prompt_cache_key"), "prompt_cache_key"),
        ({"message": "Validation: Unsupported parameter(s): `prompt_cache_key`"}, "prompt_cache_key"),
        (error("Unknown parameter: 'x'.", "unknown_parameter", "safety_identifier"), "safety_identifier"),
        (error("This user was blocked.", "blocked", "safety_identifier"), ""),
        (error("Encrypted content is not supported with this model.", param="include"), "include"),
        (error("Encrypted content is not supported with this model."), "include"),
        ({"detail": [{"type": "extra_forbidden", "loc": ["body", "prompt_cache_key"], "msg": "Extra inputs are not "
          "permitted"}]}, "prompt_cache_key"),
        (error("max_output_tokens is too large", "invalid_value", "max_output_tokens"), "max_output_tokens"),
        (error("'max_output_tokens' is too large: 25000. This model supports at most 4096."), "max_output_tokens"),
        (error("This model's maximum context length is 8192 tokens. However, you requested 12000 tokens (8000 in the "
               "messages, 4000 in the completion)."), "max_output_tokens"),
        (error("Request too large: Limit 30000, Requested 30601. The input or output tokens must be reduced in order "
               "to run successfully."), "max_output_tokens"),
        (error("'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context length is "
               "4096 tokens."), "max_output_tokens"),
        (error("Unknown parameter: 'store'.", "unknown_parameter", "store"), ""),
        (error("Unknown parameter: 'context_management'.", "unknown_parameter"), "context_management"),
        (error("Invalid value: 'compaction'. Supported values are: ''.", "invalid_value", "context_management[0].type"),
         "context_management"),
        (error("Unknown parameter: 'input[0].foo'.", "unknown_parameter", "input[0].foo"), ""),
        (error("Item 'rs_1' of type 'reasoning' was provided without its required following item.", param="input"), ""),
    ],
)  # fmt: skip
def test_a_parameter_that_a_server_does_not_take(body: object, parameter: str) -> None:
    refusal = Refusal.read(400, body)
    assert unsupported(refusal, OPTIONAL) == parameter
    if parameter:
        assert isinstance(meaning_of(refusal), ModelRejectedError)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, error("registry.ollama.ai/library/gemma:2b does not support tools"), "unsupported_tools"),
        (400, {"error": "gemma3 does not support tools"}, "unsupported_tools"),
        (404, error("No endpoints found that support tool use."), "unsupported_tools"),
        (400, error('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
         "unsupported_tools"),
        (500, error("tools param requires --jinja flag", 500, kind="server_error"), "unsupported_tools"),
        (400, error("`tool calling` is not supported with this model"), "unsupported_tools"),
        (400, error("litellm.UnsupportedParamsError: ollama does not support parameters: ['tools'], for model=x"),
         "unsupported_tools"),
        (400, error("Unrecognized request argument supplied: tools"), "unsupported_tools"),
        (500, error("image input is not supported by this server", 500, kind="server_error"), "unsupported_images"),
        (500, error('Failed to parse messages: Unsupported content part type: "image_url"; messages = []', 500),
         "unsupported_images"),
        (400, {"object": "error", "message": "facebook/opt-125m is not a multimodal model None", "code": 400},
         "unsupported_images"),
        (400, {"object": "error", "message": "At most 0 image(s) may be provided in one prompt.", "code": 400},
         "unsupported_images"),
        (404, error("No endpoints found that support image input"), "unsupported_images"),
        (422, error("Failed to deserialize the JSON body into the target type: messages[1]: unknown variant "
                    "`image_url`, expected `text` at line 1 column 40"), "unsupported_images"),
        (400, {"object": "error", "message": "Unknown part type: file", "code": 400}, "unsupported_files"),
        (400, error("unsupported content[].type", 400), "unsupported_parts"),
        (400, error("'messages.1' : for 'role:user' the following must be satisfied[('messages.1.content' : value must "
                    "be a string)]"), "unsupported_parts"),
        (422, {"detail": [{"type": "string_type", "loc": ["body", "messages", 1, "content"], "msg": "Input should be a "
                           "valid string"}]}, "unsupported_parts"),
        (500, error("Conversation roles must alternate user/assistant/user/assistant/...", 500), "unsupported_order"),
        (400, error("Expected last role User or Tool; messages must alternate between user and assistant"),
         "unsupported_order"),
        (400, {"object": "error", "message": "System role not supported", "code": 400}, "unsupported_system"),
        (500, error("Only user and assistant roles are supported!", 500), "unsupported_system"),
        # As llama-cpp-python 0.3.36 refuses a file:
        (500, error("15 validation errors:\n  {'type': 'literal_error', 'loc': ('body', 'messages', 0, 'role'), 'msg': "
                    "\"Input should be 'system'\", 'input': 'user', 'ctx': {'expected': \"'system'\"}}\n  {'type': "
                    "'string_type', 'loc': ('body', 'messages', 0, 'content', 'str'), 'msg': 'Input should be a valid "
                    "string', 'input': [{'type': 'text', 'text': 'hi'}]}", None, kind="internal_server_error"),
         "unsupported_parts"),
        # About one file or one tool, so others are still sent:
        (400, error("The image data you provided does not represent a valid image."), "http_400"),
        (400, error("You uploaded an unsupported image. Please make sure your image has of one the following formats: "
                    "['png', 'jpeg', 'gif', 'webp']."), "http_400"),
        (400, error("image type image/heic is not supported"), "http_400"),
        (400, error("Invalid schema for function 'x': tools are not nice"), BAD_TOOL),
        (400, error("Unsupported value: 'tools[0].type'", "unsupported_value", "tools[0].type"), BAD_TOOL),
        (400, error("Unsupported file: the PDF is damaged"), "http_400"),
    ],
)  # fmt: skip
def test_a_general_refusal_is_told_from_one_of_a_single_file(status: int, body: object, code: str) -> None:
    assert meaning(status, body) == code


@pytest.mark.parametrize(
    "said",
    [
        "does not support tools",
        "Unknown parameter: 'store'",
        "image input is not supported",
        "roles must alternate",
        "insufficient credits",
    ],
)
@pytest.mark.parametrize(
    "message",
    [
        'Failed to parse messages: Bad content; messages = [{{"role": "user", "content": "{}"}}]',
        "[{{'type': 'list_type', 'loc': ('body', 'x'), 'msg': 'Input should be a list', 'input': '{}'}}]",
        "1 validation error\ncontent\n  Input should be a list [type=list_type, input_value='{}', input_type=str]",
    ],
)
def test_words_of_a_person_in_a_refusal_decide_nothing(message: str, said: str) -> None:
    refusal = Refusal.read(400, error(message.format(said)))
    assert meaning(400, error(message.format(said))) == "http_400"
    assert unsupported(refusal) == ""


@pytest.mark.parametrize("body", [None, 3, [], {}, {"error": None}, {"error": [1]}, {"detail": None}, {"detail": [3]},
                                  {"error": {"code": {}, "message": 3, "param": [1], "type": True}}])  # fmt: skip
def test_a_body_of_any_shape_has_a_meaning(body: object) -> None:
    assert meaning(400, body) == "http_400"


def test_a_code_that_may_hold_words_is_not_passed_on() -> None:
    refusal = Refusal.read(400, error("x", "what they said: +49 170", "input\nx"))
    assert (refusal.code, refusal.param) == ("", "")


@pytest.mark.parametrize(
    ("response", "meant"),
    [
        ({"status": "failed", "error": {"code": "server_error"}, "output": []}, "model_unavailable"),
        ({"status": "failed", "error": {"code": "rate_limit_exceeded"}, "output": []}, "model_unavailable"),
        ({"status": "failed", "error": {"message": "?"}}, "model_unavailable"),
        ({"status": "failed", "error": {"code": "invalid_prompt"}, "output": []}, "invalid_prompt"),
        ({"status": "failed", "error": {"code": "context_length_exceeded"}}, CONTEXT_TOO_LONG),
        ({"error": {"code": 402, "message": "Insufficient credits"}}, "model_unpaid"),
        ({"error": {"code": 400, "message": "exceeds the available context size"}}, CONTEXT_TOO_LONG),
        ({"error": "out of order"}, "model_unavailable"),
    ],
)
def test_a_failure_told_with_200(response: dict[str, object], meant: str) -> None:
    failure = read_failure(response)
    assert failure is not None
    means = meaning_of(failure)
    assert not isinstance(means, UnusableAnswerError)
    assert (means.problem if isinstance(means, VendorUnavailable) else means.code) == meant


@pytest.mark.parametrize(
    "response", [{"output": []}, {"error": None, "output": []}, {"error": 1, "output": [], "status": "completed"}]
)
def test_no_failure(response: dict[str, object]) -> None:
    assert read_failure(response) is None


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("lm_studio_path", "model_path_missing"),
        ("lm_studio_no_model", "model_not_found"),
        ("lm_studio_crash", "model_unavailable"),
        ("lm_studio_load", "model_unavailable"),
        ("gemini_key", "model_rejects_key"),
        ("gemini_too_long", CONTEXT_TOO_LONG),
        ("groq_call", "call_unreadable_to_the_server"),
        ("llama_cpp_call", "call_unreadable_to_the_server"),
        ("vllm_harmony", "call_unreadable_to_the_server"),
        ("vllm_bare", "model_unavailable"),
        ("gateway_bare", "model_busy"),
        ("fastapi_bare", "model_unavailable"),
    ],
)
def test_failures_in_the_forms_of_servers(name: str, means: str) -> None:
    status, body = FAILURES[name]
    if status != 200:
        assert meaning(status, body) == means
        return
    failure = read_failure(body | {"error": body.get("error") or bare_error(body)})
    assert failure is not None
    told = meaning_of(failure)
    assert isinstance(told, VendorUnavailable)
    assert told.problem == means


@pytest.mark.parametrize("body", [{}, {"output": [], "detail": 1}, {"choices": [], "code": 1, "message": ""}])
def test_an_answer_is_no_bare_error(body: dict[str, object]) -> None:
    assert bare_error(body) is None
