// Python's pickle format, read as data: nothing of it is ever imported or run.
// Opcodes: the comments of CPython's Lib/pickletools.py; protocols 0 to 5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace pumice {

/// Index of a value in its Pickle.
using PickleId = std::uint32_t;

struct PickleValue {
    enum class Kind : std::uint8_t {
        none,
        boolean,     ///< integer: 0 or 1
        integer,     ///< integer
        big,         ///< an integer of more than 64 bits; text: its bytes, little-endian two's complement
        real,        ///< real
        text,        ///< text: a string or bytes
        list,        ///< items; sets are lists too
        tuple,       ///< items
        dict,        ///< items: key, value, key, value, … in order
        global,      ///< text: "module.name"
        call,        ///< items: the global, the tuple of its arguments, then what was given to set its state
        persistent,  ///< items: what the file says of an object that lies outside of the pickle
    };
    Kind kind = Kind::none;
    std::int64_t integer = 0;
    double real = 0;
    std::string_view text;
    std::vector<PickleId> items;
};

/// One pickle. Values refer to each other by index, so that a cycle is possible and harmless: whoever follows indices
/// bounds how far.
class Pickle {
public:
    /// Whether a global may occur, by "module.name".
    using Allowed = std::function<bool(std::string_view global)>;

    /// Reads one pickle from the start of `bytes`, which outlive the result: texts point into them. Memory is bounded
    /// by a multiple of the bytes and a limit on the number of values. Code::bad_format: what is damaged and at which
    /// byte, or the globals that are not allowed, by name. Messages do not name the file.
    static Result<Pickle> parse(std::span<const std::byte> bytes, const Allowed&);

    const PickleValue& operator[](PickleId id) const { return values_[id]; }
    std::uint32_t size() const { return static_cast<std::uint32_t>(values_.size()); }  ///< values
    const PickleValue& root() const { return values_[root_]; }
    PickleId root_id() const { return root_; }
    std::size_t bytes() const { return bytes_; }  ///< of the input that were read

    /// The value of a text key; null when `value` is no dict or lacks it. The last one counts, as in Python.
    const PickleValue* find(const PickleValue& value, std::string_view key) const;

private:
    friend class PickleReader;
    std::vector<PickleValue> values_;
    std::deque<std::string> texts_;  ///< those that do not stand in the input as they are
    PickleId root_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace pumice
