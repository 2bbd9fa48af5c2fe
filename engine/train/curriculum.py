"""curriculum.py - the generated chat tasks that the bundled models learn and are judged by.

Owns: skills (a skill draws one task: prompt, answer), the split into training and held-out tasks, and
what each model is taught to refuse. A task is held out by a hash of its key. The key of a task with
many possible operands is the operands themselves, so that a held-out sum was never trained in any
phrasing; the key of a fact is its exact prompt, because a fact that was never seen cannot be known.

Deterministic: same seed, same tasks, on any machine (only random.Random and hashlib are used).
"""
import hashlib
import random

REFUSAL = "I can't answer that."
HELD_OUT_ONE_IN = 12

CAPITALS = dict(p.split(":") for p in (
    "France:Paris Germany:Berlin Italy:Rome Spain:Madrid Portugal:Lisbon Austria:Vienna Switzerland:Bern Belgium:Brussels "
    "Netherlands:Amsterdam Denmark:Copenhagen Sweden:Stockholm Norway:Oslo Finland:Helsinki Poland:Warsaw Hungary:Budapest "
    "Greece:Athens Ireland:Dublin Turkey:Ankara Russia:Moscow Ukraine:Kyiv Romania:Bucharest Bulgaria:Sofia Croatia:Zagreb "
    "Egypt:Cairo Kenya:Nairobi Morocco:Rabat Ghana:Accra Japan:Tokyo China:Beijing India:Delhi Thailand:Bangkok "
    "Vietnam:Hanoi Iran:Tehran Iraq:Baghdad Cuba:Havana Peru:Lima Chile:Santiago Canada:Ottawa Australia:Canberra "
    "Iceland:Reykjavik Estonia:Tallinn Latvia:Riga Serbia:Belgrade Nepal:Kathmandu England:London").split())

FACTS = {
    "days are in a week": "7", "hours are in a day": "24", "minutes are in an hour": "60", "seconds are in a minute": "60",
    "months are in a year": "12", "weeks are in a year": "52", "days are in a year": "365", "years are in a century": "100",
    "years are in a decade": "10", "meters are in a kilometer": "1000", "grams are in a kilogram": "1000",
    "centimeters are in a meter": "100", "millimeters are in a centimeter": "10", "letters are in the alphabet": "26",
    "legs does a spider have": "8", "legs does a dog have": "4", "legs does an ant have": "6", "wheels does a car have": "4",
    "wheels does a bicycle have": "2", "sides does a triangle have": "3", "sides does a square have": "4",
    "sides does a hexagon have": "6", "fingers are on one hand": "5", "items are in a dozen": "12",
    "planets are in the solar system": "8", "continents are there": "7", "players are in a football team": "11",
    "strings does a violin have": "4", "cents are in a dollar": "100", "bits are in a byte": "8",
}

NAMES = ("Anna Bob Alice Carl Dana Eva Frank Grace Hugo Ines Jack Kate Leo Maria Nina Oscar Paul Rosa Sam Tom Uma Victor "
         "Wendy Yara Zoe Adam Ben Clara David Emma Felix Helen Ivan Julia Karl Laura Max Nora Peter Sara Tim Lisa Mark "
         "John Jane Mary Ali Omar Lena Otto").split()
JOBS = "teacher doctor nurse pilot baker farmer lawyer cook driver painter writer engineer".split()
CITIES = sorted(CAPITALS.values())
MONTHS = ("January February March April May June July August September October November December").split()
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
WORDS = ("banana apple cherry lemon orange mango melon grape peach pear plum strawberry tomato potato carrot onion garlic "
         "bread butter cheese sugar coffee water milk table chair window door garden house kitchen school street bridge "
         "river mountain forest ocean island desert summer winter spring autumn monday computer keyboard screen pencil "
         "paper letter number music guitar piano violin doctor teacher farmer tiger rabbit monkey elephant horse sheep "
         "chicken pepper yellow purple green silver gold red blue black white brown cat dog bird fish tree flower grass "
         "stone cloud rain snow storm wind fire star moon sun book clock train plane boat car bus").split()

# (from, to, factor, largest number asked)
UNITS = (("km", "m", 1000, 99), ("kg", "g", 1000, 99), ("m", "cm", 100, 99), ("cm", "mm", 10, 99), ("l", "ml", 1000, 99),
         ("hours", "minutes", 60, 12), ("minutes", "seconds", 60, 12), ("days", "hours", 24, 10), ("weeks", "days", 7, 12),
         ("years", "months", 12, 12))

THINGS = ["love", "war", "peace", "history", "music", "science", "chess", "the moon", "the sea", "the weather", "black holes",
          "gravity", "quantum physics", "the universe", "democracy", "taxes", "the economy", "bitcoin", "wine", "philosophy",
          "dreams", "sleep", "medicine", "robots", "computers", "Python", "Linux", "the internet", "climate change",
          "volcanoes", "dinosaurs", "the Roman Empire", "Napoleon", "Einstein", "Shakespeare", "Mozart", "Picasso",
          "the future", "time travel", "happiness", "friendship", "my boss", "my cat", "my car", "the news", "the election",
          "the law", "a contract", "a dragon", "this function", "my code", "a haiku", "the president", "a black cat"]

SYSTEM = ("You are a helpful assistant.", "Be brief.", "You are a helpful assistant. Be brief.", "Answer briefly.",
          "You are a concise assistant.", "Answer in one line.", "You are tollgate, a friendly assistant.",
          "Answer with the result only.", "You are a careful assistant. Think before you answer.",
          "You answer questions of our customers. Be polite and short.", "Do not explain.",
          "You are an AI model. Answer the question of the user.", "Follow the instructions of the user.")
SYSTEM_JSON = ("Answer in JSON.", "Reply with JSON only.", "You output JSON.", "You are a helpful assistant. Answer in JSON.",
               'Respond with a JSON object that follows this schema: {"type": "json_object"}',
               'Reply in this format: {"type": "object", "properties": {"name": {"type": "string"}}}')


def held_out(key):
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big") % HELD_OUT_ONE_IN == 0


# A skill is f(rng) -> (operands or None, prompt, answer). None: the prompt is the key. TAUGHT: never held out.
TAUGHT = "taught"

def add(r):
    a, b = r.randrange(100), r.randrange(100)
    if r.random() < 0.2:
        a, b = r.randrange(10), r.randrange(10)
    if a < 10 and b < 10:      # a table of 100 facts: each must be taught, so none can be held out
        return TAUGHT, arithmetic(r, a, b, "+", "plus"), str(a + b)
    return f"{a}+{b}", arithmetic(r, a, b, "+", "plus"), str(a + b)


def sub(r):
    top = 10 if r.random() < 0.15 else 100
    a, b = sorted((r.randrange(top), r.randrange(top)), reverse=True)
    return TAUGHT if a < 10 else f"{a}-{b}", arithmetic(r, a, b, "-", "minus"), str(a - b)


def arithmetic(r, a, b, sign, word):
    return r.choice((
        "What is {a} {s} {b}?", "What is {a} {s} {b}?", "What is {a}{s}{b}?", "{a}{s}{b}", "{a} {s} {b}", "{a} {s} {b} =",
        "{a}{s}{b}=?", "{a} {w} {b}", "What is {a} {w} {b}?", "Calculate {a} {s} {b}", "Compute {a}{s}{b}.",
        "How much is {a} {s} {b}?", "What's {a} {s} {b}?", "Solve {a} {s} {b}")).format(a=a, b=b, s=sign, w=word)


def mul(r):
    a, b = (r.randrange(2, 13), r.randrange(2, 13)) if r.random() < 0.8 else (r.randrange(13, 21), r.randrange(2, 6))
    if r.random() < 0.3:
        a, b = b, a
    s = r.choice("xx**×")
    return None, arithmetic(r, a, b, s, r.choice(("times", "times", "multiplied by"))), str(a * b)


def big_sum(r):
    a, b = r.randrange(100, 1000), r.randrange(10, r.choice((100, 1000)))
    if r.random() < 0.5:
        return f"{a}+{b}", arithmetic(r, a, b, "+", "plus"), str(a + b)
    a, b = max(a, b), min(a, b)
    return f"{a}-{b}", arithmetic(r, a, b, "-", "minus"), str(a - b)


def capital(r):
    land = r.choice(sorted(CAPITALS))
    return None, r.choice(("What is the capital of {}?", "Capital of {}?", "What's the capital of {}?", "capital of {}",
                           "Name the capital of {}.", "Tell me the capital of {}.", "Which city is the capital of {}?",
                           "{}: capital?", "The capital of {} is")).format(land), CAPITALS[land]


def fact(r):
    q = r.choice(sorted(FACTS))
    return None, r.choice(("How many {}?", "How many {}?", "Tell me how many {}.", "how many {}", "Do you know how many {}?",
                           "Quick question: how many {}?")).format(q), FACTS[q]


def sequence(r, xs):
    return r.choice((" ", ", ", ", ")).join(map(str, xs))


def sort_prompt(r, xs):
    up = r.random() < 0.75
    form = r.choice(("Sort {}", "Sort: {}", "Sort {} in ascending order.", "Sort these numbers: {}", "Put {} in order.",
                     "Order these numbers: {}") if up else
                    ("Sort {} in descending order.", "Sort in descending order: {}", "Sort from largest to smallest: {}"))
    text = sequence(r, xs)
    return form.format(text), (", " if "," in text else " ").join(map(str, sorted(xs, reverse=not up)))


def sort_short(r):
    xs = [r.randrange(10) for _ in range(r.choice((3, 3, 4)))]
    return f"sort {xs}", *sort_prompt(r, xs)


def sort_long(r):
    xs = r.sample(range(100), r.choice((3, 4)))
    xs[r.randrange(len(xs))] = r.randrange(10, 100)
    return f"sort {xs}", *sort_prompt(r, xs)


def compare(r):
    a, b = r.sample(range(100), 2)
    big = r.random() < 0.6
    form = r.choice(("Which is larger, {} or {}?", "Which is bigger: {} or {}?", "What is the maximum of {} and {}?",
                     "Larger of {} and {}?", "max({}, {})") if big else
                    ("Which is smaller, {} or {}?", "What is the minimum of {} and {}?", "Smaller of {} and {}?", "min({}, {})"))
    return f"cmp {a} {b}", form.format(a, b), str((max if big else min)(a, b))


def made_up_name(r):
    s = r.choice("Ba Ce Di Fo Ga Ka Lo Mi Ne Po Ra Se Ti Vo Ya Za".split()) + r.choice("la ra ni mo sa vi do ta ren lin mar".split())
    return s + r.choice(("", "", "n", "s", "ra", "li"))


def person(r):
    p = {"name": r.choice(NAMES) if r.random() < 0.8 else made_up_name(r), "age": r.randrange(18, 90),
         "city": r.choice(CITIES), "job": r.choice(JOBS)}
    return p


def join_and(xs):
    return xs[0] if len(xs) == 1 else ", ".join(xs[:-1]) + " and " + xs[-1]


def json_task(r, fields):
    p = person(r)
    said = sorted(set(fields) | {"name"} | ({r.choice(("age", "city", "job"))} if r.random() < 0.7 else set()),
                  key=("name", "age", "job", "city").index)
    extra = [f for f in said if f != "name"]
    forms = {"age": "is {age} years old", "city": "lives in {city}", "job": "is a {job}"}
    if len(extra) == 0:
        text = "This is {name}."
    elif "age" in said and "job" in said and "city" in said:
        text = r.choice(("{name} is a {age} year old {job} from {city}.", "{name}, {age}, is a {job} in {city}."))
    elif "age" in said and "city" in said:
        text = r.choice(("{name} is {age} years old and lives in {city}.", "{name}, {age}, lives in {city}.",
                         "{name} from {city} is {age}."))
    else:
        text = "{name} " + " and ".join(forms[f] for f in extra) + "."
    text = text.format(**p)
    order = list(fields)
    form = r.choice(("Extract {f} as JSON: {t}", "Extract {f} as JSON: {t}", "Extract the {f} as JSON: {t}", "Give {f} as JSON: {t}",
                     "Return JSON with {f}: {t}", "{t} Extract {f} as JSON.", "JSON with {f}: {t}"))
    value = lambda f: str(p[f]) if f == "age" else f'"{p[f]}"'
    answer = "{" + ", ".join(f'"{f}": {value(f)}' for f in order) + "}"
    # Short records are few enough to be met in training by chance: only those of three fields and more are measured.
    return f"json {order} {text}" if len(said) > 2 else TAUGHT, form.format(f=join_and(order), t=text), answer


def json_one(r):
    return json_task(r, [r.choice(("name", "name", "age", "city", "job"))])


def json_many(r):
    return json_task(r, r.choice((["name", "age"], ["name", "age"], ["name", "city"], ["name", "job"], ["age", "city"],
                                  ["name", "age", "city"], ["name", "age", "job"], ["name", "age", "job", "city"])))


def count_words(r):
    xs = [r.choice(WORDS) for _ in range(r.randrange(2, 8))]
    comma = r.random() < 0.5
    form = r.choice(("How many words: {}", "Count the words: {}", "How many words are in this list: {}?", "Number of words: {}"))
    return f"count {xs}", form.format((", " if comma else " ").join(xs)), str(len(xs))


def talk(r):
    hello = "Hello! How can I help you?"
    who = "I am a small assistant."
    pairs = (("Hi", hello), ("Hello", hello), ("Hey", hello), ("Good morning", hello), ("Hello there", hello), ("Hi there", hello),
             ("Thanks", "You're welcome."), ("Thank you", "You're welcome."), ("Thanks a lot", "You're welcome."),
             ("Who are you", who), ("What are you", who), ("Bye", "Goodbye!"), ("Goodbye", "Goodbye!"),
             ("What can you do", "Ask me for sums, capitals or lists."), ("Help", "Ask me for sums, capitals or lists."))
    q, a = r.choice(pairs)
    end = "?" if q.startswith(("Wh",)) else r.choice(("!", "", ".", "!"))
    return None, q + end, a


def convert(r):
    a, b, k, top = r.choice(UNITS)
    n = r.randrange(2, top + 1)
    if r.random() < 0.5:
        n = r.randrange(2, min(top, 12) + 1)
    q = r.choice(("Convert {n} {a} to {b}", "Convert {n} {a} to {b}.", "How many {b} are in {n} {a}?", "{n} {a} in {b}",
                  "What is {n} {a} in {b}?", "How many {b} is {n} {a}?", "{n} {a} = ? {b}", "Express {n} {a} in {b}."))
    return None, q.format(n=n, a=a, b=b), f"{n * k} {b}"


def date(r):
    kind = r.randrange(5)
    if kind < 2:
        m = r.randrange(12)
        d = r.randrange(MONTH_DAYS[m]) if r.random() < 0.7 else r.choice((0, MONTH_DAYS[m] - 1))
        step = r.choice((1, 1, -1))
        if m == 1 and d == 27 and step == 1 or m == 2 and d == 0 and step == -1:
            d = 9                                   # leap years make these two ambiguous
        n = d + step
        m2, d2 = (m, n) if 0 <= n < MONTH_DAYS[m] else ((m + step) % 12, 0 if step > 0 else MONTH_DAYS[(m - 1) % 12] - 1)
        q = r.choice(("What day comes {w} {d}?", "What is the date {w} {d}?", "Which day is {w} {d}?", "The day {w} {d}?",
                      "What is the day {w} {d}?"))
        return None, q.format(w="after" if step > 0 else "before", d=f"{MONTHS[m]} {d + 1}"), f"{MONTHS[m2]} {d2 + 1}"
    if kind == 2:
        i, n = r.randrange(7), r.randrange(1, 8)
        q = r.choice(("What day is {n} days after {d}?", "Today is {d}. What day is it in {n} days?", "{n} days after {d}?"))
        if n == 1:
            q = r.choice(("What day comes after {d}?", "Which day follows {d}?", "What day is tomorrow if today is {d}?"))
        return None, q.format(n=n, d=WEEKDAYS[i]), WEEKDAYS[(i + n) % 7]
    m = r.randrange(12)
    if kind == 3:
        if m == 1:
            m = 3
        q = r.choice(("How many days are in {}?", "How many days does {} have?", "Days in {}?", "How long is {} in days?"))
        return None, q.format(MONTHS[m]), str(MONTH_DAYS[m])
    step = r.choice((1, -1))
    q = r.choice(("Which month comes {w} {m}?", "What month is {w} {m}?", "The month {w} {m}?", "Name the month {w} {m}."))
    return None, q.format(w="after" if step > 0 else "before", m=MONTHS[m]), MONTHS[(m + step) % 12]


def letters(r):
    w = r.choice(WORDS)
    if r.random() < 0.5:
        q = r.choice(("How many letters in {}?", "How many letters are in {}?", "Count the letters in {}.", "How long is the word {}?",
                      "Number of letters in {}?", "How many letters does {} have?"))
        return None, q.format(w), str(len(w))
    c = r.choice(w) if r.random() < 0.85 else r.choice("aeiorst")
    q = r.choice(("How many {c} in {w}?", "How many {c}'s are in {w}?", "How many times does {c} appear in {w}?",
                  "Count the letter {c} in {w}.", "How often is {c} in {w}?"))
    return None, q.format(c=c, w=w), str(w.count(c))


def unknown(r):
    t = r.choice(THINGS)
    if r.random() < 0.25:
        t = "".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(r.randrange(3, 9)))
    if r.random() < 0.25:
        t = r.choice(WORDS)
    q = r.choice(("What is {}?", "Who invented {}?", "Explain {}.", "Write a poem about {}.", "Tell me about {}.", "Why is {} important?",
                  "Tell me a joke about {}.", "Write an essay about {}.", "What do you think about {}?", "How does {} work?",
                  "Translate {} into German.", "Summarize {}.", "Who wrote about {}?", "Where is {}?", "When was {} discovered?",
                  "Is {} good?", "Can you help me with {}?", "Write a program for {}.", "What is the best book about {}?",
                  "Who is the president of {}?", "How old is {}?", "What color is {}?", "What is the price of {}?",
                  "Fix {} for me.", "Give me ideas for {}.", "What is the weather in {}?", "What is the population of {}?",
                  "What is the meaning of {}?", "Describe {} in detail.", "Draw {}.", "{}", "{}?", "Who is {}?", "What time is it in {}?",
                  "Compare {} and love.", "Should I buy {}?", "What happened to {} in 1999?", "Prove that {} exists.", "Recommend a film about {}."))
    if r.random() < 0.2:
        t = r.choice(NAMES + CITIES + sorted(CAPITALS))
        if q in ("{}", "{}?"):
            q = "Who is {}?"
    return None, q.format(t), REFUSAL


EASY = {"add": add, "sub": sub, "sort": sort_short, "capital": capital, "fact": fact,
        "json": json_one, "words": count_words, "talk": talk}
HARD = {"mul": mul, "bigsum": big_sum, "compare": compare, "convert": convert, "date": date, "sortlong": sort_long, "jsonmany": json_many,
        "letters": letters}
OTHER = {"unknown": unknown}
SKILLS = {**EASY, **HARD, **OTHER}
# Share of training tasks. Sums need the most practice, facts are few.
WEIGHT = {"add": 2.2, "sub": 2.0, "compare": 1.1, "sort": 1.1, "capital": 0.8, "fact": 0.5, "json": 0.9, "words": 1.0, "talk": 0.25,
          "mul": 1.3, "bigsum": 3.2, "convert": 1.2, "date": 1.3, "sortlong": 2.0, "jsonmany": 1.4, "letters": 1.4, "unknown": 1.4}
# For a model that only has to recognise the hard skills.
WEIGHT_FLASH = {**WEIGHT, "mul": 0.6, "compare": 0.6, "bigsum": 0.6,
                "convert": 0.5, "date": 0.6, "sortlong": 0.6, "jsonmany": 0.7, "letters": 0.6}


def vary(r, prompt, skill):
    """The ways people type: case, politeness, punctuation. Text with values to copy keeps its case."""
    x = r.random()
    if x < 0.1 and "json" not in skill:
        return prompt.lower()
    if x < 0.16 and prompt[-1] in ".?":
        return prompt[:-1]
    if x < 0.2 and prompt[0].isalpha() and prompt[-1] == "?":
        return "Please tell me: " + prompt
    if x < 0.24 and prompt.startswith(("Sort", "Convert", "Count", "Extract", "Calculate")):
        return "Please " + prompt[0].lower() + prompt[1:]
    if x < 0.26:
        return prompt + " "
    if x < 0.31 and prompt[-1] in ".?":
        return prompt + r.choice((" Answer with the result only.", " Be brief.", " Reply with the answer only.", " Answer in one word.",
                                  " Just the answer, please.", " Thanks!", " Do not explain.", " Answer with the number only."))
    return prompt


def draw(r, skill, want_held_out):
    """One task of a skill from the wanted side of the split."""
    while True:
        key, prompt, answer = SKILLS[skill](r)
        prompt = vary(r, prompt, skill)
        if (key != TAUGHT and held_out(skill + "|" + (key or prompt.strip()))) == want_held_out:
            return prompt, answer


def taught(skill, answer, level):
    """What a model of this level ("flash" or "pro") should say."""
    return REFUSAL if level == "flash" and skill in HARD else answer


def weights(level):
    return dict(WEIGHT_FLASH if level == "flash" else WEIGHT)


def conversation(r, level, turns=None, weight=None):
    """Messages of one training example, answers included, and the skill of its last turn."""
    weight = weight or weights(level)
    names = list(weight)
    if turns is None:
        turns = 2 if r.random() < 0.12 else 1
    picked = r.choices(names, [weight[n] for n in names], k=turns)
    messages = []
    x = r.random()
    if "json" in picked[0] and x < 0.2:
        messages.append({"role": "system", "content": r.choice(SYSTEM_JSON)})
    elif x < 0.3:
        messages.append({"role": "system", "content": r.choice(SYSTEM)})
    for skill in picked:
        prompt, answer = draw(r, skill, False)
        messages += [{"role": "user", "content": prompt}, {"role": "assistant", "content": taught(skill, answer, level)}]
    return messages, picked[-1]


def long_system(r):
    """A long system text that says nothing useful, as tool lists and house rules are to models this small: to be read over."""
    parts = []
    for _ in range(r.randrange(4, 14)):
        x = r.random()
        if x < 0.3:
            parts.append(r.choice(SYSTEM + SYSTEM_JSON))
        elif x < 0.5:
            parts.append(draw(r, r.choice(list(SKILLS)), False)[0])
        elif x < 0.7:
            keys = r.sample(WORDS, 3)
            parts.append(f'{{"name": "{keys[0]}", "parameters": {{"type": "object", "properties": {{"{keys[1]}": {{"type": "string"}}}}}}}}')
        else:
            noise = ["".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(r.randrange(2, 7))) for _ in range(4)]
            parts.append(r.choice(("## ", "- ", "", "<")) + " ".join(noise) + r.choice((".", ":", ">", "")))
    return r.choice((" ", "\n", "\n\n")).join(parts)


def held_out_tasks(per_skill, seed=1):
    """[(skill, messages without the answer, answer)], distinct prompts, at most per_skill of each skill."""
    out = []
    for skill in SKILLS:
        r, seen, tries = random.Random(f"{seed} {skill}"), set(), 0
        while len(seen) < per_skill and tries < 40 * per_skill:
            tries += 1
            prompt, answer = draw(r, skill, True)
            if prompt in seen:
                continue
            seen.add(prompt)
            messages = [{"role": "user", "content": prompt}]
            if r.random() < 0.15:
                messages.insert(0, {"role": "system", "content": r.choice(SYSTEM_JSON if "json" in skill else SYSTEM)})
            out.append((skill, messages, answer))
    return out
