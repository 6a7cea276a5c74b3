r"""The token rules of the tokeniser that the COCO caption tools run, as one ordered table.

The tools call a Java program (Stanford's PTBTokenizer of 2014, `-preserveLines -lowerCase`). These rules were found by
running that program on probes and are checked against it in `tests/text`; none of its source is here. As there, the
longest match wins, and among equals the rule that stands first. A rule may look at text behind its token (outside the
group `token`): that text counts for the length of the match and is scanned again afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from lrcn.text.characters import ASTRAL, MARKS, NUMERALS, SYMBOLS

# Building blocks --------------------------------------------------------------------------------------------------

APOSTROPHE = r"(?:['\x92\u2019]|&apos;)"
APOSTROPHE_LIKE = r"(?:['\x92\u2019`\x91\u2018\u201b]|&apos;)"
SPACE = r"[ \t\xa0\u2000-\u200a\u3000]"
SPACE_OR_BREAK = r"[ \t\xa0\u2000-\u200a\u3000\r\n\f\v\x85\u2028\u2029]"

ALNUM = rf"[^\W_{NUMERALS}{ASTRAL}]"
BARE_LETTER = rf"[^\W\d_{NUMERALS}{ASTRAL}]"
LETTER = rf"(?:{BARE_LETTER}|[{MARKS}\xad])"  # a combining mark or soft hyphen counts as one
DIGIT = rf"(?:(?![{ASTRAL}])\d)"

RUN = rf"{LETTER}(?:{LETTER}|{DIGIT})*"
WORD = rf"{RUN}(?:[.!?]{RUN})*"  # "end.Next" stays whole
DOTTED = r"[A-Za-z](?:\.[A-Za-z])+"
# Two kinds of joined words: the first takes dots and commas before its first hyphen, the second any alphabet.
HYPHENATED = rf"[A-Za-z0-9][A-Za-z0-9.,\xad]*(?:-(?:{DOTTED}\.|[A-Za-z0-9\xad]+))+"
PART = rf"(?:[dDoOlL]{APOSTROPHE_LIKE}{ALNUM})?{ALNUM}+"
JOINED = rf"{PART}(?:[-_\u058a\u2010\u2011]{PART})*"
SLASH_PART = r"[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"

NUMBER_SEPARATOR = r"[.:,\xad\u066b\u066c]"
NUMBER = rf"[-+]?(?:{DIGIT}+(?:{NUMBER_SEPARATOR}{DIGIT}+)*|(?:{NUMBER_SEPARATOR}{DIGIT}+)+)"

CLITIC = rf"{APOSTROPHE}(?:[msdMSD]|(?i:re|ve|ll))"
NOT_CLITIC = rf"[nN]{APOSTROPHE_LIKE}[tT]"

_URL_HEAD = r'[^ \t\n\f\r"<>|(){}]'
_URL_TAIL = r'[^ \t\n\f\r"<>|(){}.!?,-]'
_WWW_LABEL = r'[^ \t\n\f\r"<>|(){}.!?,]+\.'
_HOST_LABEL = r"""[^ \t\n\f\r"`'<>|(){}.!?,-_$]+\."""  # ",-_" is a range: no digit, capital or hyphen either
HOST = rf"(?:www\.(?:{_WWW_LABEL})+[A-Za-z]{{2,4}}|(?:{_HOST_LABEL})+(?i:com|net|org|edu))"
HOST_PATH = r'/[^ \t\n\f\r"<>|()]+[^ \t\n\f\r"<>|(){}.!?,-]'
_MAIL = r'[^ \t\n\f\r"<>|(){}\xa0]'
_MAIL_LABEL = r'[^ \t\n\f\r"<>|(){}.\xa0]+'

_TAG_NAME = r"[A-Za-z][A-Za-z0-9_:.-]*"
_TAG_ATTRIBUTE = rf"""[ ]+{_TAG_NAME}(?:[ ]*=[ ]*(?:'[^'\r\n]*'|"[^"\r\n]*"))?"""
TAG = rf"<(?:[!?][A-Za-z-][^>\r\n]*|{_TAG_NAME}(?:{_TAG_ATTRIBUTE})*[ ]*/?|/{_TAG_NAME})[ ]*>"

ASSIMILATIONS = {"can": "not", "gon": "na", "got": "ta", "lem": "me", "gim": "me", "wan": "na"}
"""Words written as one that are two tokens."""
ELISIONS = {"nor": "easter", "c": "mon", "e": "er", "s": "mores", "ev": "ry", "li": "l", "nat": "l"}
"""Words with an apostrophe inside that are one token."""

# Words that keep their full stop. Those of the first list also do so before a letter: "Inc.x" is two tokens.
_CLOSING = (
    "al ala apr ariz assn aug bhd bldg blvd bros calif co colo conn corp cos ct dak dec esq est etc ext feb fla fri ga "
    "inc ind intl jan jr jul jun kan kans ky ltd mar md mich minn mo mon mont neb nev nov oct okla penn ph\\.d plc "
    "p{1,2}t[ey]s? rd rt sep sept seq sq sr sys tel tenn thu thurs tue tues univ va vt wed wis wisc wyo"
)
_CLOSING_CAPITAL = "A(?i:rk)|A[Zz]|D(?i:el)|I(?i:ll)|L[Aa]|M(?i:ass|iss)|O(?i:re)|P[Aa]|T(?i:ex)|W(?i:ash)"
_OPENING = (
    "adj adm adv alex assoc asst atty attys ave brig capt cf cie cmdr col comdr cpl dept det dr drs elec ens ft gen "
    "gov govs hon insp invt jos lieut lt maj mlle mme mr mrs ms msgr mt natl pfc ph pres prof profs pvt rep reps rev "
    "sen sens sfc sgt spc st ste supt supts treas vs wm"
)
CLOSING_ABBREVIATION = rf"(?:(?i:{'|'.join(_CLOSING.split())})|{_CLOSING_CAPITAL})\."
OPENING_ABBREVIATION = rf"(?:(?i:{'|'.join(_OPENING.split())})|[Mm](?i:f)g|[Mm](?i:t)g)\."
NUMBERED_ABBREVIATION = r"(?i:art|ca|figs?|nos?|op|pp|prop)\."  # before a number only
# After a single letter and a full stop, these open a sentence, so the full stop is not the letter's.
_OPENERS = (
    "a about according additionally after an as at but earlier he her here however if in it last many more mr\\. ms\\. "
    "now once one other our she since so some such that the their then there these they this we what when while yet you"
)
OPENER = rf"(?:(?=[A-Z])(?i:{'|'.join(_OPENERS.split())})|{TAG}){SPACE_OR_BREAK}"
_SUFFIXES = (
    "3gp avi bat bmp c class cgi cpp dll docx? exe gif gz h html? jar java jpe?g mov mp3 pdf php pl png ppt ps py sql "
    "tar txt wav x xml zip"
)
FILE_NAME = rf"(?:{LETTER}|{DIGIT})+(?:\.(?:{LETTER}|{DIGIT})+)*\.(?i:{'|'.join(_SUFFIXES.split())})"

_DIGITS_GAP = r"[0-9]{2,4}[- \xa0]"
PHONE = (
    rf"(?:\([0-9]{{2,3}}\)[ \xa0]?|(?:\+\+?)?(?:{_DIGITS_GAP})?{_DIGITS_GAP})[0-9]{{3,4}}[- \xa0]?[0-9]{{3,5}}"
    r"|(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}"
)
SMILEY = r"[<>]?[:;=][-o*']?[DdPpO()\[\]{|@\\]"
_FACE_SIDE = r"[\^x=~<>'-]"
FACE = rf"{_FACE_SIDE}_{_FACE_SIDE}|\({_FACE_SIDE}[_.]?{_FACE_SIDE}\)|\([\^x=~<>']-[\^x=~<>'`]\)"

# How a matched text is written ------------------------------------------------------------------------------------

_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "{": "-lcb-", "}": "-rcb-", "[": "-lsb-", "]": "-rsb-"}
_FRACTIONS = {"\xbc": "1/4", "\xbd": "1/2", "\xbe": "3/4", "\u2153": "1/3", "\u2154": "2/3"}
_CURRENCIES = {"\xa2": "cents", "\xa3": "#", "\x80": "$", "\xa4": "$", "\u20a0": "$", "\u20ac": "$"}
_QUOTES = {
    **dict.fromkeys("\x91\u2018\u201b\u2039", "`"),
    **dict.fromkeys("\x92\u2019\u203a", "'"),
    **dict.fromkeys("\x93\u201c\xab", "``"),
    **dict.fromkeys("\x94\u201d\xbb", "''"),
}


def _as_is(text: str) -> str:
    return text


def _nothing(_: str) -> str:
    return ""


def _without_soft_hyphens(text: str) -> str:
    return text.replace("\xad", "")


def _plain_apostrophe(text: str) -> str:
    return "".join(_QUOTES.get(character, character) for character in re.sub("&apos;", "'", text))


def _plain_entities(text: str) -> str:
    return re.sub("&(amp|lt|gt);", lambda m: {"amp": "&", "lt": "<", "gt": ">"}[m[1].lower()], text, flags=re.I)


def _hard_spaces(text: str) -> str:
    return text.replace(" ", "\xa0")


def _named_round_brackets(text: str) -> str:
    return text.replace("(", "-lrb-").replace(")", "-rrb-")


def _from_table(table: dict[str, str]) -> Callable[[str], str]:
    return lambda text: "".join(table.get(character, character) for character in text)


# The table --------------------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """One kind of token: how it may start, what it looks like, how it is written."""

    first: re.Pattern[str]
    pattern: re.Pattern[str]
    write: Callable[[str], str]


_WORD_START = rf"[{MARKS}\xad]|{ALNUM}"
_APOSTROPHE_START = r"['\x92\u2019&]"


def _rule(first: str, token: str, write: Callable[[str], str] = _as_is, *, then: str = "") -> Rule:
    return Rule(re.compile(first), re.compile(f"(?P<token>{token}){then}"), write)


RULES: tuple[Rule, ...] = (
    _rule(SPACE, f"{SPACE}+", _nothing),
    # words, and what is cut off them
    *(_rule(f"(?i:{a[0]})", f"(?i:{a})", then=f"(?i:{b})") for a, b in ASSIMILATIONS.items()),
    _rule(_APOSTROPHE_START, f"{APOSTROPHE}[tT]", then="(?i:is|was)"),
    _rule(_WORD_START, WORD, _without_soft_hyphens),
    _rule(_WORD_START, WORD, _without_soft_hyphens, then=CLITIC),
    _rule(r"[A-Za-z\xad]", r"[A-Za-z\xad]*?[A-MO-Za-mo-z]", _without_soft_hyphens, then=NOT_CLITIC),
    # words with an apostrophe inside or at an end
    _rule(_APOSTROPHE_START, f"{APOSTROPHE}(?:[nN]{APOSTROPHE}?|(?i:em|till?|cause)|[2-9]0[sS])"),
    _rule("[lLdDjJoOsS]", f"(?:[lLdDjJ]|[oO][lL]|[sS]omethin|[Dd]unkin){APOSTROPHE}"),
    _rule("[yY]", f"[yY]{APOSTROPHE}", then=f"(?={BARE_LETTER})"),
    _rule("[A-HJ-XZn]", f"[A-HJ-XZn]{APOSTROPHE_LIKE}{BARE_LETTER}{{2,}}"),
    _rule("[oO]", f"[oO]{APOSTROPHE_LIKE}[oO]"),
    _rule(BARE_LETTER, f"{BARE_LETTER}+[aeiouyAEIOUY]{APOSTROPHE_LIKE}[aeiouA-Z]{BARE_LETTER}*"),
    _rule("[cC]", rf"(?i:cont){APOSTROPHE}[dD]\."),
    *(_rule(f"(?i:{a[0]})", f"(?i:{a}){APOSTROPHE}(?i:{b})") for a, b in ELISIONS.items()),
    _rule(_APOSTROPHE_START, CLITIC, _plain_apostrophe, then=r"[^A-Za-z]"),
    _rule("[nN]", NOT_CLITIC, _plain_apostrophe, then=r"[^A-Za-z]"),
    # addresses
    _rule("h", f"https?://{_URL_HEAD}+{_URL_TAIL}"),
    _rule(r"[^ \t\n\f\r]", f"{HOST}(?:{HOST_PATH})?"),
    _rule("[A-Za-z0-9<&]", rf"(?:&lt;|<)?[A-Za-z0-9]{_MAIL}*@(?:{_MAIL_LABEL}\.)*{_MAIL_LABEL}(?:&gt;|>)?"),
    _rule("[@#]", f"@[A-Za-z_][A-Za-z_0-9]*|#{LETTER}+"),
    # numbers
    _rule(r"\d", f"{DIGIT}{{1,2}}[-/]{DIGIT}{{1,2}}[-/]{DIGIT}{{2,4}}"),
    _rule(rf"[-+\d]|{NUMBER_SEPARATOR}", NUMBER, _without_soft_hyphens),
    _rule(
        "[\u2070\xb9\xb2\xb3\u2074-\u2089\u207a\u207b\u208a\u208b]",
        "[\u207a\u207b\u208a\u208b]?(?:[\u2070\xb9\xb2\xb3\u2074-\u2079]+|[\u2080-\u2089]+)",
    ),
    _rule(r"\d", rf"(?:{DIGIT}{{1,4}}[- \xa0])?{DIGIT}{{1,4}}(?:\\?/|\u2044){DIGIT}{{1,4}}", _hard_spaces),
    _rule("[\xbc\xbd\xbe\u2153-\u215e]", "[\xbc\xbd\xbe\u2153-\u215e]", _from_table(_FRACTIONS)),
    _rule(_APOSTROPHE_START, f"{APOSTROPHE}[0-9][0-9]", then=SPACE_OR_BREAK),
    # Penn Treebank's own
    _rule("-", "-(?:LRB|RRB|LCB|RCB|LSB|RSB)-"),
    _rule("[paSCc]", rf"C\.D\.s|pro-|anti-|S(?:&|&amp;)(?:P-500|Ls)|[cC](?:ap{APOSTROPHE}n|{APOSTROPHE}est)"),
    # abbreviations that end a sentence as well; joined words; abbreviations that do not
    _rule("[A-Za-z]", CLOSING_ABBREVIATION, then="(?s:..)"),
    _rule("[A-Za-z]", CLOSING_ABBREVIATION),
    _rule("[A-Za-z0-9]", HYPHENATED, _without_soft_hyphens),
    _rule(_WORD_START, JOINED, _without_soft_hyphens),
    *(
        _rule(_WORD_START, rf"{shape}\.", _without_soft_hyphens, then="[,;:\u3001]")
        for shape in (HYPHENATED, WORD, JOINED)
    ),
    _rule("[A-Za-z0-9]", rf"{SLASH_PART}(?:\\?/{SLASH_PART}){{1,2}}"),
    _rule("[A-Z]", "[A-Z]+(?:(?:[+&]|&amp;)[A-Z]+)+", _plain_entities),
    _rule("[A-Za-z]", OPENING_ABBREVIATION),
    _rule("[A-Za-z]", r"[A-Za-z](?:\.[A-Za-z])*\."),
    _rule("[A-Za-z]", "[A-Za-z]", then=rf"\.{SPACE_OR_BREAK}+{OPENER}"),
    _rule("[A-Za-z]", NUMBERED_ABBREVIATION, then=f"{SPACE_OR_BREAK}?{DIGIT}"),
    _rule(_WORD_START, FILE_NAME, then=rf"(?:{SPACE_OR_BREAK}|[.,?!])"),
    _rule("[CcFf]", r"[Cc]\+\+|[CcFf]#"),
    # telephone numbers, money, faces
    _rule("[0-9+(]", PHONE, lambda text: _named_round_brackets(_hard_spaces(text))),
    _rule(r"[A-Z$]", r"[A-Z]*\$"),
    _rule("[\x80\xa2-\xa5\u060b\u0e3f\u20a0\u20a4\u20ac\uffe0\uffe1\uffe5\uffe6]", "(?s:.)", _from_table(_CURRENCIES)),
    _rule("[<>:;=]", SMILEY, _named_round_brackets, then="[^A-Za-z0-9]"),
    _rule(rf"\(|{_FACE_SIDE}", FACE, _named_round_brackets),
    # quotation marks; an apostrophe before a word opens a quotation unless the word took it above
    _rule("'", "'", then=r"[A-Za-z][^ \t\n\r\xa0]"),
    _rule(_APOSTROPHE_START, CLITIC, _plain_apostrophe),
    _rule("[nN]", NOT_CLITIC, _plain_apostrophe),
    _rule(
        "['`\x91-\x94\u2018-\u201e\u2039\u203a\xab\xbb]",
        "''|[`\x91-\x94\u2018-\u201e\u2039\u203a\xab\xbb]{1,2}",
        _from_table(_QUOTES),
    ),
    # markup
    _rule("<", TAG, _hard_spaces),
    _rule("&", "&(?i:amp|lt|gt);", _plain_entities),
    _rule("&", "&#[0-9]+;|&[aeiouAEIOU](?:acute|grave|uml);"),
    _rule("&", "&(?:(?i:nbsp|quot|apos)|mdash|MD);", _nothing),
    # runs and single signs
    _rule(r"\.", r"\.{3,5}|(?:\.[ \xa0]){2,4}\.", _nothing),
    _rule("-", "-{5,}"),
    _rule("-", "-{1,4}", _nothing),
    _rule(r"\\", r"(?:\\\*)+"),
    _rule("[<>*#@_!?]", r"<<|>>|\*+|#{2,}|@{2,}|_+|[!?]+"),
    _rule(r"[(){}\[\]]", r"[(){}\[\]]", _from_table(_BRACKETS)),
    _rule(f"[{SYMBOLS}]", f"[{SYMBOLS}]"),
)


@cache
def rules_for(character: str) -> tuple[Rule, ...]:
    """Return the rules a token starting with `character` can come from, in order."""
    return tuple(rule for rule in RULES if rule.first.match(character))
