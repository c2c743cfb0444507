/* SPDX-License-Identifier: BSD-3-Clause */
/* Patterns: from text to steps. Threads: one compilation is one thread's. */
#include "driver/log/compile.h"

static const struct {
    const char *name;
    uint8_t type;
} types[] = {{"ip", REMED_TYPE_IP},
             {"endpoint", REMED_TYPE_ENDPOINT},
             {"endpoint-last", REMED_TYPE_LASTPORT},
             {"endpoints", REMED_TYPE_LIST},
             {"port", REMED_TYPE_PORT},
             {"number", REMED_TYPE_NUMBER},
             {"protocol", REMED_TYPE_PROTOCOL},
             {"word", REMED_TYPE_WORD},
             {"name", REMED_TYPE_NAME},
             {"digits", REMED_TYPE_DIGITS},
             {"until", REMED_TYPE_UNTIL},
             {"escaped", REMED_TYPE_ESCAPED},
             {"quoted", REMED_TYPE_QUOTED},
             {"time", REMED_TYPE_STAMP},
             {"epoch", REMED_TYPE_EPOCH},
             {"moment", REMED_TYPE_MOMENT},
             {"date", REMED_TYPE_DATE},
             {"clock", REMED_TYPE_CLOCK}};

static const struct {
    const char *name;
    uint8_t slot;
} slots[] = {{"src", REMED_SLOT_SRC},
             {"src.port", REMED_SLOT_SPORT},
             {"dst", REMED_SLOT_DST},
             {"dst.port", REMED_SLOT_DPORT},
             {"src.after", REMED_SLOT_XSRC},
             {"src.after.port", REMED_SLOT_XSPORT},
             {"dst.after", REMED_SLOT_XDST},
             {"dst.after.port", REMED_SLOT_XDPORT},
             {"backend", REMED_SLOT_BACKEND},
             {"backend.port", REMED_SLOT_BPORT},
             {"backend.name", REMED_SLOT_NAME},
             {"service", REMED_SLOT_SERVICE},
             {"service.port", REMED_SLOT_VPORT},
             {"proto", REMED_SLOT_PROTO},
             {"src.bytes", REMED_SLOT_CBYTES},
             {"dst.bytes", REMED_SLOT_SBYTES},
             {"src.packets", REMED_SLOT_CPACKETS},
             {"dst.packets", REMED_SLOT_SPACKETS},
             {"observed", REMED_SLOT_TIME},
             {"observed.date", REMED_SLOT_DATE},
             {"observed.clock", REMED_SLOT_CLOCK},
             {"key", REMED_SLOT_KEY}};

static bool equal(const char *text, size_t length, const char *name)
{
    return strlen(name) == length && memcmp(text, name, length) == 0;
}

unsigned remed_log_slot_of(struct remed_log_compiler *compiler, const char *name, size_t length,
                           bool make)
{
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        if (equal(name, length, slots[i].name))
            return slots[i].slot;
    for (unsigned i = 0; i < compiler->word_count; i++)
        if (compiler->word_lengths[i] == length && memcmp(compiler->words[i], name, length) == 0)
            return REMED_SLOT_WORD + i;
    if (!make || !compiler->in_rule || compiler->word_count == REMED_LOG_WORDS ||
        memchr(name, '.', length) != NULL)
        return REMED_SLOT_NONE;
    compiler->words[compiler->word_count] = name;
    compiler->word_lengths[compiler->word_count] = length;
    return REMED_SLOT_WORD + compiler->word_count++;
}

/* A let's parameter, alone or with more behind a dot, stands for its argument: the name that is
 * meant into `name`, and its length; 0 when it is as it stands. */
static size_t substitute(const struct remed_log_compiler *compiler, char name[64],
                         const struct remed_log_token *token)
{
    const struct remed_log_binding *binding = &compiler->binding;
    size_t prefix = binding->parameter_length, rest = token->length - prefix;
    if (binding->parameter == NULL || token->length < prefix ||
        memcmp(token->text, binding->parameter, prefix) != 0 ||
        (rest > 0 && token->text[prefix] != '.') || binding->argument_length + rest > 63)
        return 0;
    memcpy(name, binding->argument, binding->argument_length);
    memcpy(name + binding->argument_length, token->text + prefix, rest);
    return binding->argument_length + rest;
}

static bool slot_fits(unsigned type, unsigned slot)
{
    switch (type) {
    case REMED_TYPE_IP:
    case REMED_TYPE_ENDPOINT:
    case REMED_TYPE_LASTPORT:
    case REMED_TYPE_LIST:
        return slot < REMED_SLOT_PROTO && slot % 2 == 0;
    case REMED_TYPE_PORT:
        return slot < REMED_SLOT_PROTO && slot % 2 == 1;
    case REMED_TYPE_PROTOCOL:
        return slot == REMED_SLOT_PROTO;
    case REMED_TYPE_NUMBER:
        return slot >= REMED_SLOT_CBYTES && slot <= REMED_SLOT_SPACKETS;
    case REMED_TYPE_STAMP:
    case REMED_TYPE_EPOCH:
    case REMED_TYPE_MOMENT:
        return slot == REMED_SLOT_TIME;
    case REMED_TYPE_DATE:
        return slot == REMED_SLOT_DATE;
    case REMED_TYPE_CLOCK:
        return slot == REMED_SLOT_CLOCK;
    default:
        return slot >= REMED_SLOT_NAME && slot < REMED_SLOT_NONE;
    }
}

static bool read_type(const struct remed_log_token *token, uint8_t *type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (token->kind == REMED_LOG_WORD && equal(token->text, token->length, types[i].name)) {
            *type = types[i].type;
            return true;
        }
    return false;
}

int remed_log_compile_field(struct remed_log_compiler *compiler, bool value, uint8_t *type,
                            uint8_t *slot)
{
    struct remed_log_token name = compiler->reader.token;
    if (name.kind != REMED_LOG_WORD)
        return remed_log_expected(&compiler->reader, compiler->error, "a type, or NAME:TYPE");
    remed_log_next(&compiler->reader);
    *slot = REMED_SLOT_NONE;
    if (!remed_log_is(&compiler->reader, ":")) {
        if (read_type(&name, type))
            return 0;
        return remed_error_at(
            compiler->error, REMED_ESYNTAX, name.line, name.column,
            "'%.*s' is no type (ip endpoint port number protocol word name digits "
            "until quoted time epoch date clock …)",
            (int)(name.length > 40 ? 40 : name.length), name.text);
    }
    remed_log_next(&compiler->reader);
    if (!read_type(&compiler->reader.token, type))
        return remed_log_expected(&compiler->reader, compiler->error,
                                  "a type (ip endpoint port number protocol word name digits until "
                                  "quoted time epoch date clock …)");
    char meant[64];
    size_t length = substitute(compiler, meant, &name);
    const char *text = length != 0 ? meant : name.text;
    unsigned found = length != 0 ? remed_log_slot_of(compiler, text, length, false)
                                 : remed_log_slot_of(compiler, text, name.length, true);
    if (value && (*type == REMED_TYPE_WORD || *type == REMED_TYPE_ESCAPED))
        *type = REMED_TYPE_UNTIL;
    if (found == REMED_SLOT_NONE || !slot_fits(*type, found))
        return remed_error_at(compiler->error, REMED_ESYNTAX, name.line, name.column,
                              found == REMED_SLOT_NONE
                                  ? "'%.*s' is no name, or one word too many in this rule"
                                  : "'%.*s' can't hold a value of that type",
                              (int)(length != 0 ? length : name.length), text);
    *slot = (uint8_t)found;
    compiler->sets |= 1ull << found;
    if (*type == REMED_TYPE_ENDPOINT || *type == REMED_TYPE_LASTPORT || *type == REMED_TYPE_LIST)
        compiler->sets |= 1ull << (found | 1);
    remed_log_next(&compiler->reader);
    return 0;
}

static int add_step(struct remed_log_compiler *compiler, unsigned code,
                    struct remed_log_step **added)
{
    struct remed_log_rules *rules = compiler->rules;
    if (rules->steps.count >= compiler->opts.max_steps)
        return remed_error_at(compiler->error, REMED_ELIMIT, compiler->reader.token.line,
                              compiler->reader.token.column, "more than %u steps",
                              compiler->opts.max_steps);
    struct remed_log_step *step = remed_array_add(&rules->steps, sizeof *step, &rules->allocator);
    if (step == NULL)
        return remed_log_no_memory(compiler);
    step->code = (uint8_t)code;
    step->slot = REMED_SLOT_NONE;
    step->advance = 1;
    step->line = compiler->reader.token.line;
    step->column = compiler->reader.token.column;
    if (added != NULL)
        *added = step;
    return 0;
}

/* The string at hand into the step that was added last. */
static int add_literal(struct remed_log_compiler *compiler)
{
    const struct remed_log_token *token = &compiler->reader.token;
    uint32_t at;
    if (token->kind != REMED_LOG_STRING || token->value_length == 0)
        return remed_log_expected(&compiler->reader, compiler->error, "a string that is not empty");
    if (remed_log_intern(compiler, token->value, token->value_length, &at) < 0)
        return REMED_ENOMEM;
    struct remed_log_step *step =
        REMED_ITEM(compiler->rules->steps, struct remed_log_step, compiler->rules->steps.count - 1);
    uint8_t mask[8] = {0}, head[8] = {0};
    size_t heads = token->value_length < 8 ? token->value_length : 8;
    memset(mask, 0xff, heads);
    memcpy(head, token->value, heads);
    memcpy(&step->head, head, sizeof head);
    memcpy(&step->mask, mask, sizeof mask);
    if (token->value_length >= 8)
        memcpy(&step->tail, token->value + token->value_length - 8, sizeof step->tail);
    step->text = at;
    step->length = (uint32_t)token->value_length;
    remed_log_next(&compiler->reader);
    return 0;
}

static int compile_literal(struct remed_log_compiler *compiler, unsigned code)
{
    int rc = add_step(compiler, code, NULL);
    return rc == 0 ? add_literal(compiler) : rc;
}

/* .. "text" [within N] */
static int compile_find(struct remed_log_compiler *compiler)
{
    int rc = compile_literal(compiler, REMED_CODE_FIND);
    if (rc < 0 || !remed_log_is(&compiler->reader, "within"))
        return rc;
    uint32_t at = (uint32_t)compiler->rules->steps.count - 1;
    remed_log_next(&compiler->reader);
    uint32_t limit;
    rc = remed_log_read_count(compiler, 65535, "a number of bytes, 1 to 65535", &limit);
    if (rc == 0)
        REMED_ITEM(compiler->rules->steps, struct remed_log_step, at)->limit = limit;
    return rc;
}

static int compile_group(struct remed_log_compiler *compiler);

/* NAME:( … ), the name read already: what the group takes, as text */
static int compile_span(struct remed_log_compiler *compiler, const struct remed_log_token *name)
{
    struct remed_log_step *step = NULL;
    unsigned slot = remed_log_slot_of(compiler, name->text, name->length, true);
    if (slot == REMED_SLOT_NONE || slot < REMED_SLOT_NAME)
        return remed_error_at(compiler->error, REMED_ESYNTAX, name->line, name->column,
                              "'%.*s' can't hold text", (int)name->length, name->text);
    int rc = add_step(compiler, REMED_CODE_OPEN, &step);
    if (rc == 0) {
        step->slot = (uint8_t)slot;
        rc = compile_group(compiler);
    }
    if (rc == 0)
        rc = add_step(compiler, REMED_CODE_CLOSE, &step);
    if (rc == 0)
        step->slot = (uint8_t)slot;
    compiler->sets |= 1ull << slot;
    return rc;
}

/* Whether the name at hand goes on as NAME:( */
static bool is_span(const struct remed_log_compiler *compiler)
{
    struct remed_log_reader ahead = compiler->reader;
    remed_log_next(&ahead);
    if (!remed_log_is(&ahead, ":"))
        return false;
    remed_log_next(&ahead);
    return remed_log_is(&ahead, "(");
}

/* Most values have a step of their own. */
static uint8_t code_of(unsigned type, unsigned slot)
{
    bool bound = slot != REMED_SLOT_NONE;
    switch (type) {
    case REMED_TYPE_IP:
        return bound ? REMED_CODE_IP : REMED_CODE_FIELD;
    case REMED_TYPE_PORT:
        return bound ? REMED_CODE_PORT : REMED_CODE_FIELD;
    case REMED_TYPE_PROTOCOL:
        return bound ? REMED_CODE_PROTO : REMED_CODE_FIELD;
    case REMED_TYPE_WORD:
        return REMED_CODE_WORD;
    case REMED_TYPE_NAME:
        return REMED_CODE_NAME;
    case REMED_TYPE_DIGITS:
        return REMED_CODE_DIGITS;
    default:
        return REMED_CODE_FIELD;
    }
}

static int compile_value(struct remed_log_compiler *compiler)
{
    struct remed_log_token name = compiler->reader.token;
    if (is_span(compiler)) {
        remed_log_next(&compiler->reader);
        remed_log_next(&compiler->reader);
        return compile_span(compiler, &name);
    }
    struct remed_log_step *step;
    uint8_t type, slot;
    int rc = add_step(compiler, REMED_CODE_FIELD, &step);
    uint32_t at = (uint32_t)compiler->rules->steps.count - 1;
    if (rc == 0)
        rc = remed_log_compile_field(compiler, false, &type, &slot);
    if (rc < 0)
        return rc;
    step = REMED_ITEM(compiler->rules->steps, struct remed_log_step, at);
    step->type = type;
    step->slot = slot;
    step->code = code_of(type, slot);
    return type == REMED_TYPE_UNTIL || type == REMED_TYPE_ESCAPED ? add_literal(compiler) : 0;
}

static int compile_sequence(struct remed_log_compiler *compiler);

/* Takes a step out; what stands behind it moves up. */
static void remove_step(struct remed_log_compiler *compiler, uint32_t at)
{
    struct remed_array *array = &compiler->rules->steps;
    struct remed_log_step *steps = array->items;
    memmove(steps + at, steps + at + 1, (array->count - at - 1) * sizeof *steps);
    array->count--;
    for (size_t i = at; i < array->count; i++)
        if ((steps[i].code == REMED_CODE_TRY || steps[i].code == REMED_CODE_COMMIT) &&
            steps[i].target > at)
            steps[i].target--;
}

static void set_target(struct remed_log_compiler *compiler, uint32_t step, uint32_t target)
{
    REMED_ITEM(compiler->rules->steps, struct remed_log_step, step)->target = target;
}

/* [ sequence ] */
static int compile_optional(struct remed_log_compiler *compiler)
{
    uint32_t try = (uint32_t)compiler->rules->steps.count;
    int rc = add_step(compiler, REMED_CODE_TRY, NULL);
    remed_log_next(&compiler->reader);
    if (rc == 0)
        rc = compile_sequence(compiler);
    if (rc == 0 && !remed_log_is(&compiler->reader, "]"))
        rc = remed_log_expected(&compiler->reader, compiler->error, "']'");
    uint32_t commit = (uint32_t)compiler->rules->steps.count;
    if (rc == 0)
        rc = add_step(compiler, REMED_CODE_COMMIT, NULL);
    if (rc < 0)
        return rc;
    set_target(compiler, try, commit + 1);
    set_target(compiler, commit, commit + 1);
    remed_log_next(&compiler->reader);
    return 0;
}

/* ( sequence | sequence … ): a TRY before each but the last, a COMMIT to the end behind each. */
static int compile_choice(struct remed_log_compiler *compiler)
{
    uint32_t commits = UINT32_MAX; /* chained by their targets */
    for (;;) {
        uint32_t try = (uint32_t)compiler->rules->steps.count;
        int rc = add_step(compiler, REMED_CODE_TRY, NULL);
        remed_log_next(&compiler->reader);
        if (rc == 0)
            rc = compile_sequence(compiler);
        if (rc < 0)
            return rc;
        bool more = remed_log_is(&compiler->reader, "|");
        if (!more && !remed_log_is(&compiler->reader, ")"))
            return remed_log_expected(&compiler->reader, compiler->error, "'|' or ')'");
        if (!more) {
            remove_step(compiler, try);
            break;
        }
        uint32_t commit = (uint32_t)compiler->rules->steps.count;
        if ((rc = add_step(compiler, REMED_CODE_COMMIT, NULL)) < 0)
            return rc;
        set_target(compiler, commit, commits);
        commits = commit;
        set_target(compiler, try, commit + 1);
    }
    while (commits != UINT32_MAX) {
        uint32_t next = REMED_ITEM(compiler->rules->steps, struct remed_log_step, commits)->target;
        set_target(compiler, commits, (uint32_t)compiler->rules->steps.count);
        commits = next;
    }
    remed_log_next(&compiler->reader);
    return 0;
}

static int compile_group(struct remed_log_compiler *compiler)
{
    if (compiler->depth == REMED_LOG_DEPTH)
        return remed_log_fault(compiler, "groups are nested deeper than 16");
    compiler->depth++;
    int rc = remed_log_is(&compiler->reader, "[") ? compile_optional(compiler)
                                                  : compile_choice(compiler);
    compiler->depth--;
    return rc;
}

static const struct remed_log_let *find_let(const struct remed_log_compiler *compiler)
{
    const struct remed_log_token *token = &compiler->reader.token;
    for (unsigned i = 0; i < compiler->let_count; i++)
        if (token->kind == REMED_LOG_WORD && compiler->lets[i].name_length == token->length &&
            memcmp(compiler->lets[i].name, token->text, token->length) == 0)
            return &compiler->lets[i];
    return NULL;
}

/* The argument, a name that may itself stand for one; its text must outlive the expansion. */
static int read_argument(struct remed_log_compiler *compiler, const struct remed_log_let *let,
                         struct remed_log_binding *binding)
{
    const struct remed_log_token *token = &compiler->reader.token;
    *binding = (struct remed_log_binding){NULL, NULL, 0, 0};
    remed_log_next(&compiler->reader);
    if (let->parameter == NULL)
        return 0;
    if (!remed_log_is(&compiler->reader, "("))
        return remed_log_expected(&compiler->reader, compiler->error, "'(' and a name");
    remed_log_next(&compiler->reader);
    if (token->kind != REMED_LOG_WORD)
        return remed_log_expected(&compiler->reader, compiler->error, "a name");
    *binding = (struct remed_log_binding){let->parameter, token->text, let->parameter_length,
                                          token->length};
    if (compiler->binding.parameter != NULL &&
        compiler->binding.parameter_length == token->length &&
        memcmp(compiler->binding.parameter, token->text, token->length) == 0) {
        binding->argument = compiler->binding.argument;
        binding->argument_length = compiler->binding.argument_length;
    }
    remed_log_next(&compiler->reader);
    if (!remed_log_is(&compiler->reader, ")"))
        return remed_log_expected(&compiler->reader, compiler->error, "')'");
    remed_log_next(&compiler->reader);
    return 0;
}

/* $name or $name(argument) */
static int compile_let_use(struct remed_log_compiler *compiler)
{
    remed_log_next(&compiler->reader);
    const struct remed_log_let *let = find_let(compiler);
    struct remed_log_binding outer = compiler->binding, inner;
    if (let == NULL)
        return remed_log_expected(&compiler->reader, compiler->error, "the name of a let above");
    if (compiler->nesting == REMED_LOG_NESTING)
        return remed_log_fault(compiler, "lets are nested deeper than 8");
    int rc = remed_log_expand(compiler, let->body_length);
    if (rc == 0)
        rc = read_argument(compiler, let, &inner);
    if (rc < 0)
        return rc;
    struct remed_log_reader behind = compiler->reader;
    compiler->nesting++;
    compiler->binding = inner;
    compiler->reader = let->body;
    rc = compile_sequence(compiler);
    if (rc == 0 && compiler->reader.token.kind != REMED_LOG_LINE &&
        compiler->reader.token.kind != REMED_LOG_END)
        rc = remed_log_expected(&compiler->reader, compiler->error, "the end of the let");
    compiler->nesting--;
    compiler->binding = outer;
    if (rc == 0)
        compiler->reader = behind;
    return rc;
}

static int compile_walk(struct remed_log_compiler *compiler, bool keys)
{
    uint32_t at = (uint32_t)compiler->rules->steps.count, walk;
    int rc = add_step(compiler, REMED_CODE_WALK, NULL);
    remed_log_next(&compiler->reader);
    if (rc == 0)
        rc = keys ? remed_log_compile_keys(compiler, &walk)
                  : remed_log_compile_columns(compiler, &walk);
    if (rc == 0)
        set_target(compiler, at, walk);
    return rc;
}

static int compile_word(struct remed_log_compiler *compiler)
{
    static const struct {
        const char *name;
        uint8_t code;
    } plain[] = {{"blanks", REMED_CODE_BLANKS}, {"rest", REMED_CODE_REST}, {"end", REMED_CODE_END}};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (remed_log_is(&compiler->reader, plain[i].name)) {
            int rc = add_step(compiler, plain[i].code, NULL);
            remed_log_next(&compiler->reader);
            return rc;
        }
    static const struct {
        const char *name;
        uint8_t code;
    } looks[] = {
        {"not", REMED_CODE_NOT}, {"before", REMED_CODE_BEFORE}, {"lacks", REMED_CODE_LACKS}};
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
        if (remed_log_is(&compiler->reader, looks[i].name)) {
            remed_log_next(&compiler->reader);
            return compile_literal(compiler, looks[i].code);
        }
    if (remed_log_is(&compiler->reader, "keys") || remed_log_is(&compiler->reader, "columns"))
        return compile_walk(compiler, remed_log_is(&compiler->reader, "keys"));
    return compile_value(compiler);
}

static int compile_sequence(struct remed_log_compiler *compiler)
{
    const struct remed_log_token *token = &compiler->reader.token;
    int rc = 0;
    while (rc == 0) {
        if (token->kind == REMED_LOG_LINE || token->kind == REMED_LOG_END ||
            remed_log_is(&compiler->reader, "|") || remed_log_is(&compiler->reader, ")") ||
            remed_log_is(&compiler->reader, "]"))
            return 0;
        if (token->kind == REMED_LOG_STRING) {
            rc = compile_literal(compiler, REMED_CODE_LITERAL);
        } else if (remed_log_is(&compiler->reader, "..")) {
            remed_log_next(&compiler->reader);
            rc = compile_find(compiler);
        } else if (remed_log_is(&compiler->reader, "[") || remed_log_is(&compiler->reader, "(")) {
            rc = compile_group(compiler);
        } else if (remed_log_is(&compiler->reader, "$")) {
            rc = compile_let_use(compiler);
        } else if (token->kind == REMED_LOG_WORD) {
            rc = compile_word(compiler);
        } else {
            rc = remed_log_expected(&compiler->reader, compiler->error,
                                    "a string, a type, '..', '(', '[', '$' or the end of the line");
        }
    }
    return rc;
}

/* A pattern that says nothing of the line's rest wants nothing there; `begin` leaves it to rules.
 */
int remed_log_compile_pattern(struct remed_log_compiler *compiler, uint32_t *start)
{
    struct remed_array *steps = &compiler->rules->steps;
    *start = (uint32_t)steps->count;
    int rc = compile_sequence(compiler);
    if (rc < 0)
        return rc;
    if (compiler->reader.token.kind != REMED_LOG_LINE &&
        compiler->reader.token.kind != REMED_LOG_END)
        return remed_log_expected(&compiler->reader, compiler->error, "the end of the line");
    unsigned last = steps->count > *start
                        ? REMED_ITEM(*steps, struct remed_log_step, steps->count - 1)->code
                        : REMED_CODE_LITERAL;
    if (compiler->in_rule && last != REMED_CODE_REST && last != REMED_CODE_WALK &&
        last != REMED_CODE_END)
        rc = add_step(compiler, REMED_CODE_END, NULL);
    return rc == 0 ? add_step(compiler, REMED_CODE_MATCH, NULL) : rc;
}
