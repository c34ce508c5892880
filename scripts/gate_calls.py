"""Have C that Cython wrote call objects through the C API.

Instead of reading the slots of their types itself.

    python gate_calls.py FROM.c TO.c

For a free-threaded CPython only: native/gate.h replaces functions of the C API that may run a program's code, and
sees no call that is made past them. CMakeLists.txt runs this. It fails if Cython writes one of these calls in another
way than here, or no longer.
"""

import re
import sys
from pathlib import Path

CALLS = {
    "return tp->tp_getattro(obj, attr_name);": "return PyObject_GetAttr(obj, attr_name);",
    "return tp->tp_setattro(obj, attr_name, value);": "return PyObject_SetAttr(obj, attr_name, value);",
    "result = (*call)(func, arg, kw);": "result = PyObject_Call(func, arg, kw);",
    "return f(func, args, nargsf, NULL);": "return PyObject_Vectorcall(func, args, nargsf, NULL);",
    "return mm->mp_subscript(obj, key);": "return PyObject_GetItem(obj, key);",
}
FREE = re.compile(r"__Pyx_PyType_GetSlot\(\((&Py\w+_Type)\), tp_dealloc, destructor\)\(o\);")


def gated(text: str) -> str:
    """Return the C with these calls replaced.

    Raises ValueError if it has one of them not exactly once.
    """
    for call, instead in CALLS.items():
        found = text.count(call)
        if found != 1:
            raise ValueError(f"Cython's C has {call!r} {found} times instead of once: look at scripts/gate_calls.py")
        text = text.replace(call, instead)
    text, found = FREE.subn(r"pdt_dealloc_as(\1, o);", text)
    if not found:
        raise ValueError("Cython frees an object of a builtin in another way: look at scripts/gate_calls.py")
    return text


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(gated(source.read_text(encoding="utf-8")), encoding="utf-8")
