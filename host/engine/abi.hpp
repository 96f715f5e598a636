// The edge between C and C++: sized structs in and out, errors out, no exception across.
#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/result.hpp"
#include "plugins/registry.hpp"
#include "pumice/pumice.h"

namespace pumice::abi {

/// Code is numbered from 0, without an "ok".
inline pumice_status to_status(Code code) {
    return static_cast<pumice_status>(static_cast<int>(code) + 1);
}
static_assert(static_cast<int>(Code::not_finite) + 1 == PUMICE_NOT_FINITE);
static_assert(static_cast<int>(Code::device_lost) + 1 == PUMICE_DEVICE_LOST);
static_assert(static_cast<int>(Code::bad_format) + 1 == PUMICE_BAD_FORMAT);

/// Those that come with this library, and no others.
plugins::RegistryOptions builtin_plugins();

/// Fills `out`, if there is one of a size known here, and gives the status.
pumice_status report(const Error& error, pumice_error* out);

/// A struct from the caller. A smaller one than this version's first is refused; what a larger one has beyond must be
/// 0, because it would be ignored.
template <class T>
Result<T> read_struct(const T* given, const char* name) {
    if (!given) return Error{Code::invalid_argument, fmt::format("{} is NULL", name)};
    const std::size_t size = given->struct_size;
    if (size < sizeof(T) || size > sizeof(T) + 4096)
        return Error{Code::invalid_argument,
                     fmt::format("{}.struct_size is {}; initialize it with the macro of its type", name, size)};
    const auto* bytes = reinterpret_cast<const unsigned char*>(given);
    if (std::any_of(bytes + sizeof(T), bytes + size, [](unsigned char b) { return b != 0; }))
        return Error{Code::unsupported,
                     fmt::format("{} has fields that this version of the library does not know", name)};
    return *given;
}

/// A struct to the caller: the part both know.
template <class T>
Status write_struct(const T& value, T* out, const char* name) {
    PUMICE_TRY(read_struct(out, name));
    const std::size_t size = out->struct_size;
    *out = value;
    out->struct_size = size;
    return {};
}

/// Runs `work` (() → Status) and turns what it gives or throws into a status.
template <class Work>
pumice_status guard(pumice_error* error, Work&& work) {
    try {
        if (Status status = work(); !status) return report(status.error(), error);
        return PUMICE_OK;
    } catch (const std::bad_alloc&) {
        return report({Code::out_of_host_memory, "out of memory on the host; close other programs or ask for less"},
                      error);
    } catch (const std::exception& e) {
        return report({Code::internal, fmt::format("a bug of Pumice: {}", e.what())}, error);
    }
}

using LogCallback = void (*)(void*, pumice_log_level, const char*);
/// Silent without a callback.
Log log_to(LogCallback callback, void* user);

/// A copy for the caller, who gives it to pumice_string_destroy.
char* text_to_caller(const std::string& text);
/// An array of texts from the caller; `name` stands in errors.
inline Result<std::vector<std::string>> read_texts(const char* const* texts, std::size_t count, const char* name) {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < count; ++i) {
        const char* text = texts ? texts[i] : nullptr;
        if (!text) return Error{Code::invalid_argument, fmt::format("{}[{}] is NULL", name, i)};
        all.emplace_back(text);
    }
    return all;
}

inline std::string text_or_empty(const char* text) {
    return text ? text : "";
}

}  // namespace pumice::abi
