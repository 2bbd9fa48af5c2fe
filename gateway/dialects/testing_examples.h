/* testing_examples.h - what docs/dialects.md shows: fields one by one, one request in every dialect, one answer. In JSON here '
 * stands for ". Read by test_docs.c, which renders them. */
#ifndef TOLLGATE_GATEWAY_TESTING_EXAMPLES_H
#define TOLLGATE_GATEWAY_TESTING_EXAMPLES_H

#include "gateway/dialects/dialect.h"

/* ---- the fields: what becomes of each on the way to every other dialect ---- */

#define CHAT(more) "{'model':'m','messages':[{'role':'user','content':'Hi'}]" more "}"
#define RESPONSES(more) "{'model':'m','input':'Hi'" more "}"
#define ANTHROPIC(more) "{'model':'m','max_tokens':4000,'messages':[{'role':'user','content':'Hi'}]" more "}"
#define GEMINI(more) "{'contents':[{'role':'user','parts':[{'text':'Hi'}]}]" more "}"
#define CHAT_SAYS(parts) "{'model':'m','messages':[{'role':'user','content':[{'type':'text','text':'Hi'}" parts "]}]}"
#define ANTHROPIC_SAYS(parts) \
    "{'model':'m','max_tokens':4000,'messages':[{'role':'user','content':[{'type':'text','text':'Hi'}" parts "]}]}"
#define GEMINI_SAYS(parts) "{'contents':[{'role':'user','parts':[{'text':'Hi'}" parts "]}]}"
#define CHAT_F ",'tools':[{'type':'function','function':{'name':'f','parameters':{'type':'object','properties':{}}}}," \
               "{'type':'function','function':{'name':'g'}}]"
#define ANTHROPIC_F ",'tools':[{'name':'f','input_schema':{'type':'object','properties':{}}}]"
#define GEMINI_F ",'tools':[{'functionDeclarations':[{'name':'f'},{'name':'g'}]}]"
#define ANTHROPIC_LOOP(result, more) \
    "{'model':'m','max_tokens':4000,'messages':[{'role':'user','content':'Hi'},{'role':'assistant','content':[{'type':'tool_use'," \
    "'id':'c1','name':'f','input':{}}]},{'role':'user','content':[{'type':'tool_result','tool_use_id':'c1'," result "}]}]" \
    ANTHROPIC_F more "}"
#define PNG "data:image/png;base64,iVBORw0KGgo="

/* `with` holds the thing, `without` is the same body without it. A second caller's spelling is for the first one's own column. */
struct field_example {
    const char *name;
    struct { enum dialect_id dialect; const char *with, *without; } said[2];
};

#define IN_CHAT(with) { DIALECT_CHAT, with, CHAT("") }
#define IN_ANTHROPIC(with) { DIALECT_ANTHROPIC, with, ANTHROPIC("") }
#define IN_GEMINI(with) { DIALECT_GEMINI, with, GEMINI("") }
#define IN_RESPONSES(with) { DIALECT_RESPONSES, with, RESPONSES("") }

static const struct field_example field_examples[] = {
    { "temperature up to 1", { IN_CHAT(CHAT(",'temperature':0.5")), IN_GEMINI(GEMINI(",'generationConfig':{'temperature':0.5}")) } },
    { "temperature above 1", { IN_CHAT(CHAT(",'temperature':1.5")), IN_GEMINI(GEMINI(",'generationConfig':{'temperature':1.5}")) } },
    { "`top_p`", { IN_CHAT(CHAT(",'top_p':0.5")), IN_GEMINI(GEMINI(",'generationConfig':{'topP':0.5}")) } },
    { "`top_k`", { IN_ANTHROPIC(ANTHROPIC(",'top_k':40")), IN_GEMINI(GEMINI(",'generationConfig':{'topK':40}")) } },
    { "presence and frequency penalties", { IN_CHAT(CHAT(",'presence_penalty':1")),
                                            IN_GEMINI(GEMINI(",'generationConfig':{'presencePenalty':1}")) } },
    { "`logit_bias`", { IN_CHAT(CHAT(",'logit_bias':{'50256':-100}")) } },
    { "seed", { IN_CHAT(CHAT(",'seed':7")), IN_GEMINI(GEMINI(",'generationConfig':{'seed':7}")) } },
    { "a cap on the answer", { IN_CHAT(CHAT(",'max_completion_tokens':100")), IN_GEMINI(GEMINI(",'generationConfig':{'maxOutputTokens':100}")) } },
    { "several choices (`n`)", { IN_CHAT(CHAT(",'n':2")), IN_GEMINI(GEMINI(",'generationConfig':{'candidateCount':2}")) } },
    { "stop sequences", { IN_CHAT(CHAT(",'stop':['x']")), IN_GEMINI(GEMINI(",'generationConfig':{'stopSequences':['x']}")) } },
    { "log probabilities", { IN_CHAT(CHAT(",'logprobs':true,'top_logprobs':2")),
                             IN_GEMINI(GEMINI(",'generationConfig':{'responseLogprobs':true,'logprobs':2}")) } },
    { "JSON without a schema", { IN_CHAT(CHAT(",'response_format':{'type':'json_object'}")),
                                 IN_GEMINI(GEMINI(",'generationConfig':{'responseMimeType':'application/json'}")) } },
    { "JSON by a schema", { IN_CHAT(CHAT(",'response_format':{'type':'json_schema','json_schema':{'name':'n','schema':{'type':'object','additionalProperties':false}}}")),
                            IN_GEMINI(GEMINI(",'generationConfig':{'responseMimeType':'application/json','responseJsonSchema':{'type':'object'}}")) } },
    { "reasoning effort", { IN_CHAT(CHAT(",'reasoning_effort':'high'")), IN_GEMINI(GEMINI(",'generationConfig':{'thinkingConfig':{'thinkingLevel':'HIGH'}}")) } },
    { "no reasoning", { IN_CHAT(CHAT(",'reasoning_effort':'none'")), IN_ANTHROPIC(ANTHROPIC(",'thinking':{'type':'disabled'}")) } },
    { "a budget of thinking", { IN_ANTHROPIC(ANTHROPIC(",'thinking':{'type':'enabled','budget_tokens':2000}")),
                                IN_GEMINI(GEMINI(",'generationConfig':{'thinkingConfig':{'thinkingBudget':2000}}")) } },
    { "verbosity", { IN_CHAT(CHAT(",'verbosity':'low'")), IN_RESPONSES(RESPONSES(",'text':{'verbosity':'low'}")) } },
    { "tools", { IN_CHAT(CHAT(CHAT_F)), IN_ANTHROPIC(ANTHROPIC(ANTHROPIC_F)) } },
    { "a tool that must be called", { { DIALECT_CHAT, CHAT(CHAT_F ",'tool_choice':{'type':'function','function':{'name':'f'}}"), CHAT(CHAT_F) },
                                      { DIALECT_ANTHROPIC, ANTHROPIC(ANTHROPIC_F ",'tool_choice':{'type':'tool','name':'f'}"), ANTHROPIC(ANTHROPIC_F) } } },
    { "a choice among some of the tools",
      { { DIALECT_CHAT, CHAT(CHAT_F ",'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'auto','tools':[{'type':'function','function':{'name':'f'}}]}}"), CHAT(CHAT_F) },
        { DIALECT_GEMINI, GEMINI(GEMINI_F ",'toolConfig':{'functionCallingConfig':{'mode':'VALIDATED','allowedFunctionNames':['f']}}"), GEMINI(GEMINI_F) } } },
    { "one call at most", { { DIALECT_CHAT, CHAT(CHAT_F ",'parallel_tool_calls':false"), CHAT(CHAT_F) },
                            { DIALECT_ANTHROPIC, ANTHROPIC(ANTHROPIC_F ",'tool_choice':{'type':'auto','disable_parallel_tool_use':true}"), ANTHROPIC(ANTHROPIC_F ",'tool_choice':{'type':'auto'}") } } },
    { "strict tools", { { DIALECT_CHAT, CHAT(",'tools':[{'type':'function','function':{'name':'f','strict':true,'parameters':{'type':'object','additionalProperties':false}}}]"),
                          CHAT(",'tools':[{'type':'function','function':{'name':'f','parameters':{'type':'object','additionalProperties':false}}}]") },
                        { DIALECT_ANTHROPIC, ANTHROPIC(",'tools':[{'name':'f','strict':true,'input_schema':{'type':'object','additionalProperties':false}}]"),
                          ANTHROPIC(",'tools':[{'name':'f','input_schema':{'type':'object','additionalProperties':false}}]") } } },
    { "tools that take free text", { IN_CHAT(CHAT(",'tools':[{'type':'custom','custom':{'name':'f'}}]")), IN_RESPONSES(RESPONSES(",'tools':[{'type':'custom','name':'f'}]")) } },
    { "the provider's own tools (search, code)", { IN_ANTHROPIC(ANTHROPIC(",'tools':[{'type':'web_search_20250305','name':'web_search'}]")),
                                                   IN_RESPONSES(RESPONSES(",'tools':[{'type':'web_search'}]")) } },
    { "instructions", { IN_CHAT("{'model':'m','messages':[{'role':'system','content':'S'},{'role':'user','content':'Hi'}]}"),
                        IN_GEMINI(GEMINI(",'systemInstruction':{'parts':[{'text':'S'}]}")) } },
    { "instructions in the middle", { IN_CHAT("{'model':'m','messages':[{'role':'user','content':'Hi'},{'role':'system','content':'S'}]}"),
                                      IN_RESPONSES("{'model':'m','input':[{'role':'user','content':'Hi'},{'role':'system','content':'S'}]}") } },
    { "a participant's name", { IN_CHAT("{'model':'m','messages':[{'role':'user','content':'Hi','name':'Ann'}]}") } },
    { "a picture", { { DIALECT_CHAT, CHAT_SAYS(",{'type':'image_url','image_url':{'url':'" PNG "'}}"), CHAT_SAYS("") },
                     { DIALECT_GEMINI, GEMINI_SAYS(",{'inlineData':{'mimeType':'image/png','data':'iVBORw0KGgo='}}"), GEMINI_SAYS("") } } },
    { "a picture by URL (where the model takes them)", { { DIALECT_CHAT, CHAT_SAYS(",{'type':'image_url','image_url':{'url':'https://x/y.png'}}"), CHAT_SAYS("") },
                                                         { DIALECT_ANTHROPIC, ANTHROPIC_SAYS(",{'type':'image','source':{'type':'url','url':'https://x/y.png'}}"), ANTHROPIC_SAYS("") } } },
    { "how closely to look (`detail`)", { { DIALECT_CHAT, CHAT_SAYS(",{'type':'image_url','image_url':{'url':'" PNG "','detail':'low'}}"),
                                            CHAT_SAYS(",{'type':'image_url','image_url':{'url':'" PNG "'}}") },
                                          { DIALECT_RESPONSES, "{'model':'m','input':[{'role':'user','content':[{'type':'input_image','image_url':'" PNG "','detail':'low'}]}]}",
                                            "{'model':'m','input':[{'role':'user','content':[{'type':'input_image','image_url':'" PNG "'}]}]}" } } },
    { "a PDF", { { DIALECT_CHAT, CHAT_SAYS(",{'type':'file','file':{'filename':'a.pdf','file_data':'data:application/pdf;base64,JVBERi0='}}"), CHAT_SAYS("") },
                 { DIALECT_ANTHROPIC, ANTHROPIC_SAYS(",{'type':'document','source':{'type':'base64','media_type':'application/pdf','data':'JVBERi0='}}"), ANTHROPIC_SAYS("") } } },
    { "a file by its id", { { DIALECT_ANTHROPIC, ANTHROPIC_SAYS(",{'type':'document','source':{'type':'file','file_id':'file_1'}}"), ANTHROPIC_SAYS("") },
                            { DIALECT_GEMINI, GEMINI_SAYS(",{'fileData':{'fileUri':'files/1','mimeType':'application/pdf'}}"), GEMINI_SAYS("") } } },
    { "audio", { { DIALECT_CHAT, CHAT_SAYS(",{'type':'input_audio','input_audio':{'data':'AAAA','format':'wav'}}"), CHAT_SAYS("") },
                 { DIALECT_GEMINI, GEMINI_SAYS(",{'inlineData':{'mimeType':'audio/wav','data':'AAAA'}}"), GEMINI_SAYS("") } } },
    { "a result that is an error", { { DIALECT_ANTHROPIC, ANTHROPIC_LOOP("'content':'r','is_error':true", ""), ANTHROPIC_LOOP("'content':'r'", "") } } },
    { "a picture in a result", { { DIALECT_ANTHROPIC, ANTHROPIC_LOOP("'content':[{'type':'image','source':{'type':'base64','media_type':'image/png','data':'iVBORw0KGgo='}}]", ""),
                                   ANTHROPIC_LOOP("'content':[]", "") } } },
    { "an assistant's turn to be continued (where the model does)", { IN_ANTHROPIC("{'model':'m','max_tokens':4000,'messages':[{'role':'user','content':'Hi'},{'role':'assistant','content':'{'}]}"),
                                                                     IN_CHAT("{'model':'m','messages':[{'role':'user','content':'Hi'},{'role':'assistant','content':'{'}]}") } },
    { "cache marks", { { DIALECT_ANTHROPIC, ANTHROPIC_SAYS(",{'type':'text','text':'x','cache_control':{'type':'ephemeral'}}"), ANTHROPIC_SAYS(",{'type':'text','text':'x'}") },
                       { DIALECT_CHAT, CHAT_SAYS(",{'type':'text','text':'x','cache_control':{'type':'ephemeral'}}"), CHAT_SAYS(",{'type':'text','text':'x'}") } } },
    { "`prompt_cache_key`", { IN_CHAT(CHAT(",'prompt_cache_key':'k'")), IN_RESPONSES(RESPONSES(",'prompt_cache_key':'k'")) } },
    { "`metadata`", { IN_CHAT(CHAT(",'metadata':{'k':'v'}")), IN_RESPONSES(RESPONSES(",'metadata':{'k':'v'}")) } },
    { "the end user's id", { IN_CHAT(CHAT(",'user':'u'")), IN_ANTHROPIC(ANTHROPIC(",'metadata':{'user_id':'u'}")) } },
    { "`service_tier` flex, priority", { IN_CHAT(CHAT(",'service_tier':'flex'")), IN_GEMINI(GEMINI(",'serviceTier':'flex'")) } },
    { "`store`", { IN_CHAT(CHAT(",'store':true")), IN_RESPONSES(RESPONSES(",'store':true")) } },
    { "`prediction`", { IN_CHAT(CHAT(",'prediction':{'type':'content','content':'x'}")) } },
    { "spoken answers (`modalities`)", { IN_CHAT(CHAT(",'modalities':['text','audio'],'audio':{'voice':'v','format':'wav'}")) } },
    { "`previous_response_id`, `conversation`, `background`", { IN_RESPONSES(RESPONSES(",'background':true")) } },
    { "`truncation`", { IN_RESPONSES(RESPONSES(",'truncation':'auto'")) } },
    { "`container`, `mcp_servers`", { IN_ANTHROPIC(ANTHROPIC(",'container':'c'")) } },
    { "edits of the context, but of thinking", { IN_ANTHROPIC(ANTHROPIC(",'context_management':{'edits':[{'type':'clear_tool_uses_20250919'}]}")) } },
    { "`safetySettings`", { IN_GEMINI(GEMINI(",'safetySettings':[{'category':'HARM_CATEGORY_HARASSMENT','threshold':'BLOCK_NONE'}]")) } },
    { "`cachedContent`", { IN_GEMINI(GEMINI(",'cachedContent':'cachedContents/1'")) } },
    { "a member that nobody knows yet", { IN_CHAT(CHAT(",'new_knob':1")), IN_RESPONSES(RESPONSES(",'new_knob':1")) } },
};
#define FIELD_EXAMPLES (sizeof field_examples / sizeof field_examples[0])

/* ---- one request, as each of the four callers says it ---- */

#define SCHEMA_OF_PLACE "{'type':'object','properties':{'warm':{'type':'boolean'}},'additionalProperties':false}"
#define SCHEMA_OF_TOOL "{'type':'object','properties':{'city':{'type':'string'}},'required':['city']}"

static const struct { enum dialect_id dialect; const char *name, *body; } request_examples[] = {
    { DIALECT_CHAT, "OpenAI Chat",
      "{'model':'auto','messages':[{'role':'system','content':'You know places.'},"
      "{'role':'user','content':[{'type':'text','text':'Where is this, and is it warm?'},{'type':'image_url','image_url':{'url':'" PNG "'}}]},"
      "{'role':'assistant','tool_calls':[{'id':'call_1','type':'function','function':{'name':'get_weather','arguments':'{\\'city\\':\\'Zürich\\'}'}}]},"
      "{'role':'tool','tool_call_id':'call_1','content':'8 °C'}],"
      "'tools':[{'type':'function','function':{'name':'get_weather','description':'The weather of a city','parameters':" SCHEMA_OF_TOOL "}}],"
      "'response_format':{'type':'json_schema','json_schema':{'name':'place','schema':" SCHEMA_OF_PLACE "}},"
      "'reasoning_effort':'low','temperature':0.2,'max_completion_tokens':2000,'stream':true,'stream_options':{'include_usage':true}}" },
    { DIALECT_RESPONSES, "OpenAI Responses",
      "{'model':'auto','instructions':'You know places.','input':["
      "{'role':'user','content':[{'type':'input_text','text':'Where is this, and is it warm?'},{'type':'input_image','image_url':'" PNG "'}]},"
      "{'type':'function_call','call_id':'call_1','name':'get_weather','arguments':'{\\'city\\':\\'Zürich\\'}'},"
      "{'type':'function_call_output','call_id':'call_1','output':'8 °C'}],"
      "'tools':[{'type':'function','name':'get_weather','description':'The weather of a city','parameters':" SCHEMA_OF_TOOL ",'strict':false}],"
      "'text':{'format':{'type':'json_schema','name':'place','schema':" SCHEMA_OF_PLACE "}},"
      "'reasoning':{'effort':'low','summary':'auto'},'temperature':0.2,'max_output_tokens':2000,'store':false,'stream':true}" },
    { DIALECT_ANTHROPIC, "Anthropic Messages",
      "{'model':'claude-auto','max_tokens':2000,'system':'You know places.','messages':["
      "{'role':'user','content':[{'type':'text','text':'Where is this, and is it warm?'},"
      "{'type':'image','source':{'type':'base64','media_type':'image/png','data':'iVBORw0KGgo='}}]},"
      "{'role':'assistant','content':[{'type':'tool_use','id':'call_1','name':'get_weather','input':{'city':'Zürich'}}]},"
      "{'role':'user','content':[{'type':'tool_result','tool_use_id':'call_1','content':'8 °C'}]}],"
      "'tools':[{'name':'get_weather','description':'The weather of a city','input_schema':" SCHEMA_OF_TOOL "}],"
      "'output_config':{'effort':'low','format':{'type':'json_schema','schema':" SCHEMA_OF_PLACE "}},'thinking':{'type':'adaptive'},"
      "'temperature':0.2,'stream':true}" },
    { DIALECT_GEMINI, "Gemini",
      "{'systemInstruction':{'parts':[{'text':'You know places.'}]},'contents':["
      "{'role':'user','parts':[{'text':'Where is this, and is it warm?'},{'inlineData':{'mimeType':'image/png','data':'iVBORw0KGgo='}}]},"
      "{'role':'model','parts':[{'functionCall':{'name':'get_weather','args':{'city':'Zürich'}}}]},"
      "{'role':'user','parts':[{'functionResponse':{'name':'get_weather','response':{'output':'8 °C'}}}]}],"
      "'tools':[{'functionDeclarations':[{'name':'get_weather','description':'The weather of a city','parametersJsonSchema':" SCHEMA_OF_TOOL "}]}],"
      "'generationConfig':{'responseMimeType':'application/json','responseJsonSchema':" SCHEMA_OF_PLACE ",'temperature':0.2,"
      "'maxOutputTokens':2000,'thinkingConfig':{'thinkingLevel':'LOW','includeThoughts':true}}}" },
};
#define EXAMPLES 4

/* Whom the examples go to. */
static const struct { enum dialect_id dialect; const char *provider, *model; } providers_of_examples[EXAMPLES] = {
    { DIALECT_CHAT, "openai", "gpt-5.5" },
    { DIALECT_RESPONSES, "openai", "gpt-5.5-pro" },
    { DIALECT_ANTHROPIC, "anthropic", "claude-opus-4-7" },
    { DIALECT_GEMINI, "gemini", "gemini-3.1-pro" },
};

/* ---- one answer, as each of the four providers says it ---- */

static const char *const answer_examples[EXAMPLES] = {
    "{'id':'chatcmpl-1','object':'chat.completion','created':1795521600,'model':'gpt-5.5','choices':[{'index':0,'message':{'role':'assistant',"
    "'content':'By a lake.','refusal':null,'tool_calls':[{'id':'call_2','type':'function','function':{'name':'get_weather',"
    "'arguments':'{\\'city\\':\\'Luzern\\'}'}}]},'finish_reason':'tool_calls'}],'usage':{'prompt_tokens':160,'completion_tokens':30,"
    "'total_tokens':190,'prompt_tokens_details':{'cached_tokens':40},'completion_tokens_details':{'reasoning_tokens':12}}}",
    "{'id':'resp_1','object':'response','status':'completed','model':'gpt-5.5-pro','output':["
    "{'type':'reasoning','id':'rs_1','summary':[{'type':'summary_text','text':'Water and hills.'}],'encrypted_content':'gAAA'},"
    "{'type':'message','id':'msg_1','role':'assistant','status':'completed','content':[{'type':'output_text','text':'By a lake.','annotations':[]}]},"
    "{'type':'function_call','id':'fc_1','call_id':'call_2','name':'get_weather','arguments':'{\\'city\\':\\'Luzern\\'}','status':'completed'}],"
    "'usage':{'input_tokens':160,'input_tokens_details':{'cached_tokens':40},'output_tokens':30,'output_tokens_details':{'reasoning_tokens':12},"
    "'total_tokens':190}}",
    "{'id':'msg_1','type':'message','role':'assistant','model':'claude-opus-4-7','content':["
    "{'type':'thinking','thinking':'Water and hills.','signature':'EqQB'},{'type':'text','text':'By a lake.'},"
    "{'type':'tool_use','id':'call_2','name':'get_weather','input':{'city':'Luzern'}}],'stop_reason':'tool_use','stop_sequence':null,"
    "'usage':{'input_tokens':120,'cache_read_input_tokens':40,'cache_creation_input_tokens':0,'output_tokens':30,"
    "'output_tokens_details':{'thinking_tokens':12}}}",
    "{'candidates':[{'content':{'role':'model','parts':[{'text':'Water and hills.','thought':true},{'text':'By a lake.'},"
    "{'functionCall':{'id':'call_2','name':'get_weather','args':{'city':'Luzern'}},'thoughtSignature':'CpEB'}]},'finishReason':'STOP'}],"
    "'usageMetadata':{'promptTokenCount':160,'cachedContentTokenCount':40,'candidatesTokenCount':18,'thoughtsTokenCount':12,"
    "'totalTokenCount':190},'modelVersion':'gemini-3.1-pro'}",
};

#endif
