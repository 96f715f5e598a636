#include "weights/pickle.hpp"

#include <bit>
#include <charconv>
#include <cstring>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "weights/stored_tensor.hpp"

namespace pumice {

using Kind = PickleValue::Kind;

namespace {

// A checkpoint with its optimizer's state has some ten thousand values.
constexpr std::size_t kMaxValues = std::size_t(1) << 22;
constexpr std::size_t kMaxItems = std::size_t(1) << 24;  // of all containers: copies of one list multiply
constexpr std::size_t kNamedGlobals = 8;
constexpr std::size_t kMaxName = 256;  // of a global

constexpr PickleId kNone = 0, kFalse = 1, kTrue = 2;  // every pickle's first values

}  // namespace

/// The machine that a pickle is a program for: a stack, marks on it, and a memo. Every function returns whether to go
/// on; if not, problem_ says why.
class PickleReader {
public:
    PickleReader(std::span<const std::byte> bytes, const Pickle::Allowed& allowed) : bytes_(bytes), allowed_(allowed) {
        pickle_.values_.resize(3);
        pickle_.values_[kFalse].kind = pickle_.values_[kTrue].kind = Kind::boolean;
        pickle_.values_[kTrue].integer = 1;
    }
    Result<Pickle> run();

private:
    bool step(std::uint8_t opcode);
    bool step_number(std::uint8_t opcode);
    bool step_text(std::uint8_t opcode);
    bool step_container(std::uint8_t opcode);
    bool step_memo(std::uint8_t opcode);
    bool step_object(std::uint8_t opcode);

    bool fail(std::string why) {
        if (problem_.empty()) problem_ = std::move(why);
        return false;
    }
    bool little(std::size_t size, std::uint64_t& value);
    bool take(std::uint64_t size, std::string_view& text);
    bool line(std::string_view& text);
    bool pop(PickleId& id);
    bool pop_mark(std::vector<PickleId>& items);
    bool push(PickleId id) {
        stack_.push_back(id);
        return true;
    }
    bool push(PickleValue value);
    bool count(std::size_t items) {
        items_ += items;
        return items_ <= kMaxItems || fail(fmt::format("a pickle of containers with more than {} items", kMaxItems));
    }
    bool push_integer(std::int64_t n) { return push({Kind::integer, n, 0, {}, {}}); }
    bool push_text(std::uint64_t size);
    bool push_long(std::uint64_t size);
    bool push_items(Kind kind, std::size_t count);
    bool push_marked(Kind kind);
    bool remember(std::uint64_t key);
    bool recall(std::uint64_t key);
    bool append(const std::vector<PickleId>& items);
    bool set_items(const std::vector<PickleId>& items);
    bool global(std::string_view module, std::string_view name);
    bool call(PickleId callee, PickleId arguments);
    bool build();
    bool ordered_dict(const PickleValue& arguments);

    std::span<const std::byte> bytes_;
    const Pickle::Allowed& allowed_;
    std::size_t at_ = 0;
    Pickle pickle_;
    std::vector<PickleId> stack_;
    std::vector<std::size_t> marks_;  ///< sizes of the stack
    std::unordered_map<std::uint64_t, PickleId> memo_;
    std::size_t items_ = 0;
    std::set<std::string> forbidden_;
    std::string problem_;
};

Result<Pickle> PickleReader::run() {
    std::size_t opcode_at = 0;
    for (bool stopped = false; !stopped;) {
        opcode_at = at_;
        std::uint64_t opcode = 0;
        if (!little(1, opcode)) break;
        if (opcode == '.') {
            stopped = pop(pickle_.root_);
            if (!stopped) break;
        } else if (!step(static_cast<std::uint8_t>(opcode))) {
            break;
        }
    }
    // What it tries to import says more of a file than how it goes on.
    if (!forbidden_.empty())
        return Error{Code::bad_format,
                     fmt::format("imports {}{}, which no weights need: nothing of it was run, and the file is not used",
                                 fmt::join(forbidden_, ", "), forbidden_.size() == kNamedGlobals ? " and more" : "")};
    if (!problem_.empty())
        return Error{Code::bad_format, fmt::format("{} (byte {} of the pickle)", problem_, opcode_at)};
    pickle_.bytes_ = at_;
    return std::move(pickle_);
}

bool PickleReader::little(std::size_t size, std::uint64_t& value) {
    std::string_view text;
    if (!take(size, text)) return false;
    value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(text[i]);
    return true;
}

bool PickleReader::take(std::uint64_t size, std::string_view& text) {
    if (size > bytes_.size() - at_) return fail("the pickle ends too early: it is truncated");
    text = {reinterpret_cast<const char*>(bytes_.data()) + at_, static_cast<std::size_t>(size)};
    at_ += static_cast<std::size_t>(size);
    return true;
}

/// Without the line's end.
bool PickleReader::line(std::string_view& text) {
    const auto rest = bytes_.subspan(at_);
    const void* const end = rest.empty() ? nullptr : std::memchr(rest.data(), '\n', rest.size());
    if (!end) return fail("the pickle ends too early: it is truncated");
    const auto size = static_cast<std::size_t>(static_cast<const std::byte*>(end) - rest.data());
    take(size + 1, text);
    text.remove_suffix(1);
    return true;
}

bool PickleReader::pop(PickleId& id) {
    if (stack_.empty() || (!marks_.empty() && stack_.size() == marks_.back()))
        return fail("a pickle that takes what it has not made");
    id = stack_.back();
    stack_.pop_back();
    return true;
}

bool PickleReader::pop_mark(std::vector<PickleId>& items) {
    if (marks_.empty()) return fail("a pickle without the mark it goes back to");
    items.assign(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return true;
}

bool PickleReader::push(PickleValue value) {
    if (pickle_.values_.size() == kMaxValues) return fail(fmt::format("a pickle of more than {} values", kMaxValues));
    if (!count(value.items.size())) return false;
    pickle_.values_.push_back(std::move(value));
    return push(static_cast<PickleId>(pickle_.values_.size() - 1));
}

bool PickleReader::push_text(std::uint64_t size) {
    std::string_view text;
    return take(size, text) && push({Kind::text, 0, 0, text, {}});
}

/// A number of `size` bytes, little-endian, two's complement.
bool PickleReader::push_long(std::uint64_t size) {
    std::string_view text;
    if (!take(size, text)) return false;
    if (size > 8) return push({Kind::big, 0, 0, text, {}});
    std::uint64_t bits = size > 0 && (text.back() & 0x80) != 0 ? ~std::uint64_t(0) : 0;
    for (std::size_t i = text.size(); i-- > 0;) bits = bits << 8 | static_cast<std::uint8_t>(text[i]);
    return push_integer(static_cast<std::int64_t>(bits));
}

bool PickleReader::push_items(Kind kind, std::size_t count) {
    std::vector<PickleId> items(count);
    for (std::size_t i = count; i-- > 0;)
        if (!pop(items[i])) return false;
    return push({kind, 0, 0, {}, std::move(items)});
}

bool PickleReader::push_marked(Kind kind) {
    std::vector<PickleId> items;
    if (!pop_mark(items)) return false;
    if (kind == Kind::dict && items.size() % 2 != 0) return fail("a dict with a key that has no value");
    return push({kind, 0, 0, {}, std::move(items)});
}

bool PickleReader::remember(std::uint64_t key) {
    if (stack_.empty()) return fail("a pickle that takes what it has not made");
    memo_[key] = stack_.back();
    return true;
}

bool PickleReader::recall(std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) return fail("a pickle that recalls what it has not remembered");
    return push(found->second);
}

bool PickleReader::append(const std::vector<PickleId>& items) {
    if (stack_.empty()) return fail("a pickle that takes what it has not made");
    PickleValue& list = pickle_.values_[stack_.back()];
    // A call's object may be a set or a list by another name; what is put in it concerns nobody.
    if (list.kind == Kind::call) return true;
    if (list.kind != Kind::list) return fail("a pickle that appends to what is no list");
    if (!count(items.size())) return false;
    list.items.insert(list.items.end(), items.begin(), items.end());
    return true;
}

bool PickleReader::set_items(const std::vector<PickleId>& items) {
    if (stack_.empty()) return fail("a pickle that takes what it has not made");
    PickleValue& dict = pickle_.values_[stack_.back()];
    if (dict.kind == Kind::call) return true;
    if (dict.kind != Kind::dict || items.size() % 2 != 0) return fail("a pickle that sets items of what is no dict");
    if (!count(items.size())) return false;
    dict.items.insert(dict.items.end(), items.begin(), items.end());
    return true;
}

bool PickleReader::global(std::string_view module, std::string_view name) {
    if (module.size() > kMaxName || name.size() > kMaxName) return fail("an import with a name of many bytes");
    const std::string& full = pickle_.texts_.emplace_back(fmt::format("{}.{}", module, name));
    if (!allowed_(full) && forbidden_.size() < kNamedGlobals) forbidden_.insert(printable(full));
    return push({Kind::global, 0, 0, full, {}});
}

bool PickleReader::call(PickleId callee, PickleId arguments) {
    if (pickle_[callee].kind != Kind::global) return fail("a pickle that calls what it has made");
    if (pickle_[arguments].kind != Kind::tuple) return fail("a pickle that calls with what is no tuple");
    if (pickle_[callee].text == "collections.OrderedDict") return ordered_dict(pickle_[arguments]);
    return push({Kind::call, 0, 0, {}, {callee, arguments}});
}

/// Empty, or as Python 2 wrote it: from a list of pairs.
bool PickleReader::ordered_dict(const PickleValue& arguments) {
    PickleValue dict{Kind::dict, 0, 0, {}, {}};
    if (arguments.items.size() > 1) return fail("an OrderedDict of several arguments");
    if (!arguments.items.empty()) {
        const PickleValue& pairs = pickle_[arguments.items[0]];
        if (pairs.kind != Kind::list && pairs.kind != Kind::tuple) return fail("an OrderedDict of what is no list");
        if (!count(2 * pairs.items.size())) return false;
        for (const PickleId id : pairs.items) {
            const PickleValue& pair = pickle_[id];
            if ((pair.kind != Kind::list && pair.kind != Kind::tuple) || pair.items.size() != 2)
                return fail("an OrderedDict of what are no pairs");
            dict.items.insert(dict.items.end(), pair.items.begin(), pair.items.end());
        }
    }
    return push(std::move(dict));
}

/// Sets an object's state. A dict's own (state_dict's _metadata) is of no use here.
bool PickleReader::build() {
    PickleId state = kNone;
    if (!pop(state)) return false;
    if (stack_.empty()) return fail("a pickle that takes what it has not made");
    PickleValue& object = pickle_.values_[stack_.back()];
    if (object.kind == Kind::call) {
        object.items.push_back(state);
        return true;
    }
    return object.kind == Kind::dict || fail("a pickle that sets the state of what has none");
}

bool PickleReader::step(std::uint8_t opcode) {
    switch (opcode) {
        case 0x80: {  // PROTO
            std::uint64_t version = 0;
            if (!little(1, version)) return false;
            return version <= 5 || fail(fmt::format("pickle protocol {}, which is unknown", version));
        }
        case 0x95: {  // FRAME: its length only helps readers of streams
            std::uint64_t ignored = 0;
            return little(8, ignored);
        }
        case '(':
            marks_.push_back(stack_.size());
            return true;
        case '0': {
            // POP; of a mark when that is on top
            if (!marks_.empty() && marks_.back() == stack_.size()) {
                marks_.pop_back();
                return true;
            }
            PickleId ignored = 0;
            return pop(ignored);
        }
        case '1': {
            std::vector<PickleId> ignored;
            return pop_mark(ignored);
        }
        case '2':
            return stack_.empty() ? fail("a pickle that takes what it has not made") : push(stack_.back());
        case 'N':
            return push(kNone);
        case 0x88:
            return push(kTrue);
        case 0x89:
            return push(kFalse);
        case 'I':
        case 'L':
        case 'F':
        case 'J':
        case 'K':
        case 'M':
        case 'G':
        case 0x8a:
        case 0x8b:
            return step_number(opcode);
        case 'S':
        case 'V':
        case 'T':
        case 'U':
        case 'X':
        case 'B':
        case 'C':
        case 0x8c:
        case 0x8d:
        case 0x8e:
        case 0x96:
            return step_text(opcode);
        case 'l':
        case ']':
        case 'a':
        case 'e':
        case 'd':
        case '}':
        case 's':
        case 'u':
        case 't':
        case ')':
        case 0x85:
        case 0x86:
        case 0x87:
        case 0x8f:
        case 0x90:
        case 0x91:
            return step_container(opcode);
        case 'p':
        case 'q':
        case 'r':
        case 0x94:
        case 'g':
        case 'h':
        case 'j':
            return step_memo(opcode);
        default:
            return step_object(opcode);
    }
}

bool PickleReader::step_number(std::uint8_t opcode) {
    std::uint64_t n = 0;
    std::string_view text;
    switch (opcode) {
        case 'J':
            return little(4, n) && push_integer(static_cast<std::int32_t>(n));
        case 'K':
            return little(1, n) && push_integer(static_cast<std::int64_t>(n));
        case 'M':
            return little(2, n) && push_integer(static_cast<std::int64_t>(n));
        case 0x8a:
            return little(1, n) && push_long(n);
        case 0x8b:
            return little(4, n) && push_long(n);
        case 'G': {
            if (!take(8, text)) return false;
            for (const char c : text) n = n << 8 | static_cast<std::uint8_t>(c);
            return push({Kind::real, 0, std::bit_cast<double>(n), {}, {}});
        }
        default:
            break;
    }
    if (!line(text)) return false;
    if (opcode == 'I' && (text == "00" || text == "01")) return push(text == "01" ? kTrue : kFalse);
    if (opcode == 'L' && text.ends_with('L')) text.remove_suffix(1);
    const char* const end = text.data() + text.size();
    if (opcode == 'F') {
        double value = 0;
        const auto read = std::from_chars(text.data(), end, value);
        return (read.ec == std::errc() && read.ptr == end) ? push({Kind::real, 0, value, {}, {}})
                                                           : fail("a number that is none");
    }
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), end, value);
    return read.ec == std::errc() && read.ptr == end ? push_integer(value) : fail("a number that is none");
}

bool PickleReader::step_text(std::uint8_t opcode) {
    std::uint64_t size = 0;
    switch (opcode) {
        case 'U':
        case 'C':
        case 0x8c:
            return little(1, size) && push_text(size);
        case 'T':
        case 'X':
        case 'B':
            return little(4, size) && push_text(size);
        case 0x8d:
        case 0x8e:
        case 0x96:
            return little(8, size) && push_text(size);
        default:
            break;
    }
    // Protocol 0 writes a line with quotes (S) or without; escapes stay as they are: no tensor's name has any.
    std::string_view text;
    if (!line(text)) return false;
    if (opcode == 'S') {
        if (text.size() < 2 || text.front() != text.back()) return fail("a string without its quotes");
        text = text.substr(1, text.size() - 2);
    }
    return push({Kind::text, 0, 0, text, {}});
}

bool PickleReader::step_container(std::uint8_t opcode) {
    std::vector<PickleId> items;
    PickleId one = 0;
    switch (opcode) {
        case ']':
        case 0x8f:
            return push_items(Kind::list, 0);
        case ')':
            return push_items(Kind::tuple, 0);
        case '}':
            return push_items(Kind::dict, 0);
        case 0x85:
            return push_items(Kind::tuple, 1);
        case 0x86:
            return push_items(Kind::tuple, 2);
        case 0x87:
            return push_items(Kind::tuple, 3);
        case 'l':
        case 0x91:
            return push_marked(Kind::list);
        case 't':
            return push_marked(Kind::tuple);
        case 'd':
            return push_marked(Kind::dict);
        case 'e':
        case 0x90:
            return pop_mark(items) && append(items);
        case 'u':
            return pop_mark(items) && set_items(items);
        case 'a':
            return pop(one) && append({one});
        default: {
            PickleId key = 0;
            return pop(one) && pop(key) && set_items({key, one});
        }
    }
}

bool PickleReader::step_memo(std::uint8_t opcode) {
    std::uint64_t key = 0;
    if (opcode == 0x94) return remember(memo_.size());
    if (opcode == 'p' || opcode == 'g') {
        std::string_view text;
        if (!line(text)) return false;
        const auto read = std::from_chars(text.data(), text.data() + text.size(), key);
        if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return fail("a number that is none");
    } else if (!little(opcode == 'q' || opcode == 'h' ? 1 : 4, key)) {
        return false;
    }
    return opcode == 'p' || opcode == 'q' || opcode == 'r' ? remember(key) : recall(key);
}

bool PickleReader::step_object(std::uint8_t opcode) {
    std::string_view module, name;
    PickleId a = 0, b = 0, c = 0;
    std::vector<PickleId> items;
    switch (opcode) {
        case 'c':
            return line(module) && line(name) && global(module, name);
        case 0x93:  // STACK_GLOBAL
            if (!pop(b) || !pop(a)) return false;
            if (pickle_[a].kind != Kind::text || pickle_[b].kind != Kind::text) return fail("an import without a name");
            return global(pickle_[a].text, pickle_[b].text);
        case 'R':
        case 0x81:
            return pop(b) && pop(a) && call(a, b);  // REDUCE, NEWOBJ
        case 0x92:
            return pop(c) && pop(b) && pop(a) && call(a, b);  // NEWOBJ_EX, with keyword arguments
        case 'i':                                             // INST
            if (!line(module) || !line(name) || !push_marked(Kind::tuple)) return false;
            return pop(b) && global(module, name) && pop(a) && call(a, b);
        case 'o':  // OBJ
            if (!pop_mark(items)) return false;
            if (items.empty()) return fail("a pickle that takes what it has not made");
            a = items.front();
            items.erase(items.begin());
            return push({Kind::tuple, 0, 0, {}, std::move(items)}) && pop(b) && call(a, b);
        case 'b':
            return build();
        case 'P':  // PERSID
            return line(name) && push({Kind::text, 0, 0, name, {}}) && push_items(Kind::persistent, 1);
        case 'Q':
            return push_items(Kind::persistent, 1);
        case 0x82:
        case 0x83:
        case 0x84:
            return fail("an import from the registry of extensions");
        default:
            return fail(fmt::format("{:#04x} is no opcode of a pickle", opcode));
    }
}

Result<Pickle> Pickle::parse(std::span<const std::byte> bytes, const Allowed& allowed) {
    return PickleReader(bytes, allowed).run();
}

const PickleValue* Pickle::find(const PickleValue& value, std::string_view key) const {
    if (value.kind != Kind::dict) return nullptr;
    for (std::size_t i = value.items.size(); i >= 2; i -= 2) {
        const PickleValue& found = values_[value.items[i - 2]];
        if (found.kind == Kind::text && found.text == key) return &values_[value.items[i - 1]];
    }
    return nullptr;
}

}  // namespace pumice
