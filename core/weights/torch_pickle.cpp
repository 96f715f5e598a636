#include "weights/torch_pickle.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

namespace pumice {

using Kind = PickleValue::Kind;

namespace {

constexpr std::size_t kMaxRank = 8;
constexpr int kMaxDepth = 8;                              // of dicts in dicts
constexpr std::size_t kMaxVisits = std::size_t(1) << 20;  // of values: shared ones count each time they are met
constexpr std::size_t kMaxTensors = 200'000;
constexpr std::size_t kMaxNote = 4096;  // bytes of a text that becomes metadata
constexpr std::uint64_t kMaxBytes = std::uint64_t(1) << 56;

struct NamedType {
    std::string_view name;
    StoredType type;
};
constexpr NamedType kStorages[] = {
    {"torch.FloatStorage", StoredType::f32},     {"torch.HalfStorage", StoredType::f16},
    {"torch.BFloat16Storage", StoredType::bf16}, {"torch.DoubleStorage", StoredType::f64},
    {"torch.LongStorage", StoredType::i64},      {"torch.IntStorage", StoredType::i32},
    {"torch.ShortStorage", StoredType::i16},     {"torch.CharStorage", StoredType::i8},
    {"torch.ByteStorage", StoredType::u8},       {"torch.BoolStorage", StoredType::boolean},
};
constexpr NamedType kDtypes[] = {
    {"torch.float32", StoredType::f32},
    {"torch.float16", StoredType::f16},
    {"torch.bfloat16", StoredType::bf16},
    {"torch.float64", StoredType::f64},
    {"torch.float8_e4m3fn", StoredType::f8_e4m3},
    {"torch.float8_e5m2", StoredType::f8_e5m2},
    {"torch.int64", StoredType::i64},
    {"torch.int32", StoredType::i32},
    {"torch.int16", StoredType::i16},
    {"torch.int8", StoredType::i8},
    {"torch.uint64", StoredType::u64},
    {"torch.uint32", StoredType::u32},
    {"torch.uint16", StoredType::u16},
    {"torch.uint8", StoredType::u8},
    {"torch.bool", StoredType::boolean},
};
constexpr std::string_view kUntyped[] = {"torch.storage.UntypedStorage", "torch.UntypedStorage"};
constexpr std::string_view kOthers[] = {
    "collections.OrderedDict", "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
    "torch._tensor._rebuild_from_type_v2", "torch.nn.parameter.Parameter", "torch.nn.modules.container.ParameterDict",
    "torch.Tensor", "torch.Size", "torch.device",
    // Left by training; their objects are ignored.
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint", "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray.scalar", "numpy.dtype", "numpy.ndarray",
    "_codecs.encode", "__builtin__.set", "builtins.set"};

/// Keys under which tools put the weights; a model's own names have dots.
constexpr std::string_view kWrappers[] = {"state_dict",       "params_ema", "params-ema", "params",
                                          "model_state_dict", "model",      "net",        "module"};

template <std::size_t N>
std::optional<StoredType> type_of(const NamedType (&rows)[N], std::string_view name) {
    for (const NamedType& r : rows)
        if (r.name == name) return r.type;
    return std::nullopt;
}

Error bad(std::string why) {
    return {Code::bad_format, std::move(why)};
}

bool is_container(const PickleValue& v) {
    return v.kind == Kind::dict || v.kind == Kind::list || v.kind == Kind::tuple || v.kind == Kind::call;
}

/// Collects tensors and notes.
class Collector {
public:
    explicit Collector(const Pickle& pickle) : pickle_(pickle) {}
    Result<TorchWeights> run();

private:
    const PickleValue& at(PickleId id) const { return pickle_[id]; }
    Status visit(PickleId id, const std::string& name, int depth);
    Status visit_call(const PickleValue& call, const std::string& name, int depth);
    struct Rebuild {
        std::string_view function;  // empty: another object
        const std::vector<PickleId>* arguments = nullptr;
    };
    Result<Rebuild> tensor_call(const PickleValue& call) const;
    Status add_tensor(const Rebuild&, const std::string& name);
    Result<std::vector<std::uint64_t>> sizes(PickleId id, const std::string& name, const char* what) const;
    PickleId unwrapped() const;
    void note(const PickleValue& value, const std::string& name);

    const Pickle& pickle_;
    TorchWeights found_;
    std::size_t visits_ = 0;
};

std::string joined(const std::string& name, const std::string& key) {
    return name.empty() ? key : name + "." + key;
}

Result<TorchWeights> Collector::run() {
    const PickleId inner = unwrapped();
    PUMICE_TRY(visit(inner, {}, 0));
    if (const PickleValue& root = pickle_.root(); inner != pickle_.root_id())
        for (std::size_t i = 0; i + 1 < root.items.size(); i += 2)
            if (at(root.items[i]).kind == Kind::text) note(at(root.items[i + 1]), std::string(at(root.items[i]).text));
    return std::move(found_);
}

/// The innermost of dicts that hold the weights under a well-known key.
PickleId Collector::unwrapped() const {
    PickleId id = pickle_.root_id();
    for (int i = 0; i < kMaxDepth; ++i) {
        const PickleValue& dict = at(id);
        if (dict.kind != Kind::dict) return id;
        bool found = false;
        for (const std::string_view wrapper : kWrappers) {
            for (std::size_t k = 0; k + 1 < dict.items.size() && !found; k += 2) {
                const PickleValue &key = at(dict.items[k]), &value = at(dict.items[k + 1]);
                found =
                    key.kind == Kind::text && key.text == wrapper && value.kind == Kind::dict && !value.items.empty();
                if (found) id = dict.items[k + 1];
            }
            if (found) break;
        }
        if (!found) return id;
    }
    return id;
}

/// Texts and numbers, which tools keep beside tensors.
void Collector::note(const PickleValue& value, const std::string& name) {
    if (name.empty() || name.size() > kMaxNote) return;
    if (value.kind == Kind::text && value.text.size() <= kMaxNote) found_.metadata[name] = value.text;
    if (value.kind == Kind::integer) found_.metadata[name] = fmt::to_string(value.integer);
    if (value.kind == Kind::real) found_.metadata[name] = fmt::to_string(value.real);
    if (value.kind == Kind::boolean) found_.metadata[name] = value.integer ? "true" : "false";
}

Status Collector::visit(PickleId id, const std::string& name, int depth) {
    if (++visits_ > kMaxVisits) return bad(fmt::format("more than {} entries", kMaxVisits));
    const PickleValue& value = at(id);
    if (value.kind == Kind::call) return visit_call(value, name, depth);
    if (depth == kMaxDepth || name.size() > kMaxNote) return {};
    if (value.kind == Kind::dict) {
        for (std::size_t i = 0; i + 1 < value.items.size(); i += 2) {
            const PickleValue& key = at(value.items[i]);
            if (key.kind != Kind::text && key.kind != Kind::integer) continue;
            const std::string text = key.kind == Kind::text ? std::string(key.text) : fmt::to_string(key.integer);
            PUMICE_TRY(visit(value.items[i + 1], joined(name, text), depth + 1));
        }
    } else if (value.kind == Kind::list || value.kind == Kind::tuple) {
        for (std::size_t i = 0; i < value.items.size(); ++i)
            if (is_container(at(value.items[i])))
                PUMICE_TRY(visit(value.items[i], joined(name, fmt::to_string(i)), depth + 1));
    } else {
        note(value, name);
    }
    return {};
}

Status Collector::visit_call(const PickleValue& call, const std::string& name, int depth) {
    if (at(call.items[0]).text == "torch.nn.modules.container.ParameterDict") {
        if (call.items.size() < 3) return {};
        const PickleValue& state = at(call.items.back());
        for (std::size_t i = 0; state.kind == Kind::dict && i + 1 < state.items.size(); i += 2)
            if (at(state.items[i]).text == "_parameters") return visit(state.items[i + 1], name, depth + 1);
        return {};
    }
    PUMICE_ASSIGN(const Rebuild tensor, tensor_call(call));
    return tensor.function.empty() ? Status{} : add_tensor(tensor, name);
}

/// The _rebuild_tensor call inside of parameters and subclasses.
Result<Collector::Rebuild> Collector::tensor_call(const PickleValue& outer) const {
    Rebuild call{at(outer.items[0]).text, &at(outer.items[1]).items};
    for (int i = 0; i < kMaxDepth; ++i) {
        const auto& arguments = *call.arguments;
        if (call.function.starts_with("torch._utils._rebuild_tensor")) return call;
        if (call.function == "torch._tensor._rebuild_from_type_v2") {  // (function, type, arguments, state)
            if (arguments.size() < 3 || at(arguments[0]).kind != Kind::global || at(arguments[2]).kind != Kind::tuple)
                return bad("a tensor of a type that is described wrongly");
            call = {at(arguments[0]).text, &at(arguments[2]).items};
        } else if (call.function.starts_with("torch._utils._rebuild_parameter")) {  // (tensor, …)
            if (arguments.empty() || at(arguments[0]).kind != Kind::call) return bad("a parameter without a tensor");
            const PickleValue& inner = at(arguments[0]);
            call = {at(inner.items[0]).text, &at(inner.items[1]).items};
        } else {
            return Rebuild{};
        }
    }
    return bad("parameters of parameters");
}

Result<std::vector<std::uint64_t>> Collector::sizes(PickleId id, const std::string& name, const char* what) const {
    const PickleValue* value = &at(id);
    // torch.Size((3, 4)): a call with the tuple.
    if (value->kind == Kind::call && !at(value->items[1]).items.empty()) value = &at(at(value->items[1]).items[0]);
    std::vector<std::uint64_t> numbers;
    bool sound = (value->kind == Kind::tuple || value->kind == Kind::list) && value->items.size() <= kMaxRank;
    for (std::size_t i = 0; sound && i < value->items.size(); ++i) {
        const PickleValue& n = at(value->items[i]);
        sound = n.kind == Kind::integer && n.integer >= 0;
        numbers.push_back(static_cast<std::uint64_t>(n.integer));
    }
    if (sound) return numbers;
    return bad(fmt::format("tensor '{}': its {} is not made of at most {} sizes", printable(name), what, kMaxRank));
}

Status Collector::add_tensor(const Rebuild& call, const std::string& name) {
    if (found_.tensors.size() == kMaxTensors) return bad(fmt::format("more than {} tensors", kMaxTensors));
    const auto wrong = [&](const std::string& why) {
        return bad(fmt::format("tensor '{}': {}", printable(name), why));
    };
    const std::vector<PickleId>& arguments = *call.arguments;
    const bool v3 = call.function == "torch._utils._rebuild_tensor_v3";
    if (arguments.size() < (v3 ? 7u : 4u)) return wrong("it is made of too few values");
    const PickleValue& place = at(arguments[0]);
    const PickleValue& offset = at(arguments[1]);
    if (place.kind != Kind::persistent) return wrong("it has no storage");
    if (offset.kind != Kind::integer || offset.integer < 0) return wrong("its offset is no number");
    TorchTensor tensor;
    tensor.name = name;
    auto storage = torch_storage(pickle_, place);
    if (!storage) return wrong(storage.error().message);
    tensor.storage = *std::move(storage);
    tensor.offset = static_cast<std::uint64_t>(offset.integer);
    PUMICE_ASSIGN(tensor.shape, sizes(arguments[2], name, "shape"));
    PUMICE_ASSIGN(tensor.strides, sizes(arguments[3], name, "stride"));
    if (tensor.shape.size() != tensor.strides.size()) return wrong("it has not as many strides as sizes");
    const auto type = v3 ? type_of(kDtypes, at(arguments[6]).text) : tensor.storage.type;
    if (!type) return wrong("its type is not known");
    tensor.dtype = *type;
    found_.tensors.push_back(std::move(tensor));
    return {};
}

}  // namespace

bool torch_allows(std::string_view global) {
    return type_of(kStorages, global) || type_of(kDtypes, global) ||
           std::find(std::begin(kUntyped), std::end(kUntyped), global) != std::end(kUntyped) ||
           std::find(std::begin(kOthers), std::end(kOthers), global) != std::end(kOthers);
}

/// ('storage', type, key, device, elements[, view]); view: None or (key, offset, elements).
Result<TorchStorage> torch_storage(const Pickle& pickle, const PickleValue& value) {
    const PickleValue* const tuple = value.items.empty() ? nullptr : &pickle[value.items[0]];
    if (!tuple || tuple->kind != Kind::tuple || tuple->items.size() < 5)
        return bad("a storage that is described wrongly");
    const auto item = [&](std::size_t i) -> const PickleValue& { return pickle[tuple->items[i]]; };
    if (item(0).text != "storage" || item(1).kind != Kind::global || item(2).kind != Kind::text ||
        item(4).kind != Kind::integer || item(4).integer < 0)
        return bad("a storage that is described wrongly");
    TorchStorage storage{std::string(item(2).text), type_of(kStorages, item(1).text),
                         static_cast<std::uint64_t>(item(4).integer), 0};
    if (!storage.type && std::find(std::begin(kUntyped), std::end(kUntyped), item(1).text) == std::end(kUntyped))
        return bad(fmt::format("a storage of type {}", printable(item(1).text)));
    if (storage.elements > kMaxBytes / 8) return bad("a storage of an impossible size");
    if (tuple->items.size() > 5 && item(5).kind == Kind::tuple && item(5).items.size() == 3) {
        const PickleValue& offset = pickle[item(5).items[1]];
        const PickleValue& size = pickle[item(5).items[2]];
        if (offset.kind != Kind::integer || size.kind != Kind::integer || offset.integer < 0 || size.integer < 0 ||
            static_cast<std::uint64_t>(offset.integer) > storage.elements ||
            static_cast<std::uint64_t>(size.integer) > storage.elements - static_cast<std::uint64_t>(offset.integer))
            return bad("a storage that is no part of the one it should be a part of");
        storage.offset = static_cast<std::uint64_t>(offset.integer);
        storage.elements = static_cast<std::uint64_t>(size.integer);
    }
    return storage;
}

Result<TorchWeights> torch_weights(const Pickle& pickle) {
    return Collector(pickle).run();
}

}  // namespace pumice
