# Owns: what can be looked into for secrets, and what is surely one plain scalar.
# May touch: the classes of values, to read them.
# Invariants:
#  - no code of a value, its class or its metaclass runs;
#  - it fails closed: what is not known to have no parts, or to show them one by one, cannot be looked into.

cdef enum:                      # what kind_inside() says of a value
    V_LEAF                      # it has no parts
    V_MAPPING
    V_SEQUENCE
    V_NAMED                     # a named tuple
    V_ELEMENTS
    V_ATTRIBUTES
    V_OPAQUE                    # it has parts, or may have, and cannot be looked into


cdef set scalar_types = {type(None), bool, int, float, complex, str, bytes, bytearray, range, type(Ellipsis),
                         type(NotImplemented), type(len), type(_collections.namedtuple), _MemberDescriptorType}
cdef set scalar_ids = {id(cls) for cls in scalar_types}     # no code of a metaclass runs
# without imports: most programs have none of them
cdef set scalar_names = {
    ("datetime", "date"), ("datetime", "time"), ("datetime", "datetime"), ("datetime", "timedelta"),
    ("datetime", "timezone"), ("decimal", "Decimal"), ("fractions", "Fraction"), ("uuid", "UUID"),
    ("zoneinfo", "ZoneInfo"), ("ipaddress", "IPv4Address"), ("ipaddress", "IPv6Address"),
    ("ipaddress", "IPv4Network"), ("ipaddress", "IPv6Network"), ("pathlib", "PosixPath"), ("pathlib", "WindowsPath"),
    ("pathlib", "PurePosixPath"), ("pathlib", "PureWindowsPath"), ("pathlib._local", "PosixPath"),
    ("pathlib._local", "WindowsPath"), ("pathlib._local", "PurePosixPath"), ("pathlib._local", "PureWindowsPath"),
}
cdef tuple scalar_bases = (str, int, float, bytes, complex, bytearray)
# __repr__ that show the items only
cdef set known_reprs = {id(cls.__dict__["__repr__"]) for cls in (
    dict, list, tuple, set, frozenset, str, int, float, bytes, complex, bytearray,
    _collections.OrderedDict, _collections.defaultdict, _collections.Counter)}
cdef object default_repr = object.__dict__["__repr__"]
cdef object default_str = object.__dict__["__str__"]


cdef inline bint shows_items_only(type cls):
    cdef PyObject *held = pdt_type_lookup(<PyTypeObject *>cls, "__repr__")
    return held != NULL and id(<object>held) in known_reprs


cdef object names_of(type cls):
    """Return _fields of a class, None if it has none."""
    cdef PyObject *held = pdt_type_lookup(<PyTypeObject *>cls, "_fields")
    return None if held == NULL else <object>held


cdef int kind_inside(object value) except -1:
    """Say how to look into a value, V_... O(1)."""
    cdef type cls = type(value)
    if id(cls) in scalar_ids or value is missing or cls is type(REDACTED) or isinstance(value, Words):
        return V_LEAF
    if PyDict_Check(value):
        return V_MAPPING if is_dict_hook(value) or shows_items_only(cls) else V_OPAQUE
    if PyList_Check(value):
        return V_SEQUENCE if isinstance(value, ListHook) or shows_items_only(cls) else V_OPAQUE
    if isinstance(value, tuple):
        if type(names_of(cls)) is tuple:
            return V_NAMED
        return V_SEQUENCE if shows_items_only(cls) else V_OPAQUE
    if isinstance(value, (set, frozenset)):
        return V_ELEMENTS if isinstance(value, SetHook) or shows_items_only(cls) else V_OPAQUE
    if isinstance(value, AttrHook):
        return V_ATTRIBUTES
    if pdt_is_deque(value) or <PyObject *>cls == <PyObject *>deque_type:
        return V_SEQUENCE
    try:
        return V_LEAF if has_no_parts(value, cls) else V_OPAQUE
    except Exception:
        return V_OPAQUE


cdef bint has_no_parts(object value, type cls) except -1:
    """True if the text of a value cannot show anything else that it holds."""
    cdef PyObject *held = pdt_type_lookup(<PyTypeObject *>cls, "__repr__")
    if held == <PyObject *>default_repr:
        return True                     # <module.Class object at 0x...>
    if isinstance(value, type):
        return held == <PyObject *>class_repr or cls is of_module("enum", "EnumType")
    if cls is slice:
        return id(type(value.start)) in scalar_ids and id(type(value.stop)) in scalar_ids and \
            id(type(value.step)) in scalar_ids
    return issubclass(cls, scalar_bases) and shows_items_only(cls) or is_known_scalar(value, cls)


cdef object class_repr = type.__dict__["__repr__"]
cdef object module_of_class = type.__dict__["__module__"].__get__       # what a metaclass says does not count
cdef object name_of_class = type.__dict__["__name__"].__get__
cdef object bases_of_class = type.__dict__["__mro__"].__get__


cdef object of_module(str module, str name):
    """Return what an imported module has under a name, or None."""
    found = _sys.modules.get(module)
    return None if found is None else vars(found).get(name)


cdef bint is_known_scalar(object value, type cls) except -1:
    """True for dates, numbers, enums and the like, whose text is theirs alone, and for no subclass of them."""
    module, name = module_of_class(cls), name_of_class(cls)
    if (module, name) in scalar_names:
        if cls is not of_module(module, name):
            return False
        if name == "datetime" or name == "time":
            zone = value.tzinfo
            return zone is None or type(zone) is of_module("datetime", "timezone") or \
                type(zone) is of_module("zoneinfo", "ZoneInfo")
        return True
    if module == "numpy":
        numpy = _sys.modules.get(module)
        if numpy is None or vars(numpy).get(name) is not cls:
            return False
        return issubclass(cls, (numpy.number, numpy.str_, numpy.bytes_, numpy.bool_, numpy.datetime64))
    enum = of_module("enum", "Enum")
    if enum is not None and any([each is enum for each in bases_of_class(cls)]):
        return is_plain_member(value, cls)
    return False


cdef bint is_plain_member(object value, type cls) except -1:
    """True if the texts of a member of an enum are those of the standard library, and its value is a scalar."""
    cdef PyObject *held
    if id(type(value._value_)) not in scalar_ids:
        return False
    if not enum_texts:
        for each in (of_module("enum", name) for name in ("Enum", "Flag", "IntEnum", "IntFlag", "StrEnum", "ReprEnum")):
            if each is not None:
                enum_texts.update([id(getattr(each, name)) for name in ("__repr__", "__str__", "__format__")])
    for name in ("__repr__", "__str__"):
        held = pdt_type_lookup(<PyTypeObject *>cls, name)
        if held == NULL or id(<object>held) not in enum_texts and id(<object>held) not in known_reprs and \
                id(<object>held) not in known_strs:
            return False
    held = pdt_type_lookup(<PyTypeObject *>cls, "_value_repr_")
    return held == NULL or <object>held is None or id(<object>held) in known_reprs or <object>held is repr


cdef set enum_texts = set()
cdef set known_strs = {id(cls.__str__) for cls in (object, str, int, float, bytes)}
