// Result<T>: a value or an Error. Nothing inside core throws across a function boundary of ours.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace pumice {

/// What went wrong, coarse enough that a program can branch on it. The C API and the CLI's exit codes
/// (host/cli/exit_codes.hpp) map one to one onto these.
enum class Code : std::uint8_t {
    internal,             ///< our own bug
    invalid_argument,     ///< a value outside its documented range
    not_found,            ///< a file, device or name that does not exist
    io,                   ///< reading or writing failed (permission, full disk, …)
    bad_format,           ///< a file that is damaged or not what it claims to be
    unsupported,          ///< well-formed, but not something this version handles
    no_driver,            ///< no Vulkan loader or no driver on this machine
    no_device,            ///< drivers, but no device that matches the request
    missing_feature,      ///< the device lacks a required feature or limit
    out_of_host_memory,
    out_of_device_memory,
    device_lost,          ///< latched: a fresh engine is needed
    cancelled,            ///< the caller asked to stop
    not_finite,           ///< NaN or infinity where a picture was expected
};

struct Error {
    Code code = Code::internal;
    std::string message;  ///< one line: what, where, what to do
    int vk_result = 0;    ///< the VkResult behind it, 0 if none
};

template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return state_.index() == 0; }
    T& operator*() & { return std::get<0>(state_); }
    const T& operator*() const& { return std::get<0>(state_); }
    T&& operator*() && { return std::get<0>(std::move(state_)); }
    T* operator->() { return &std::get<0>(state_); }
    const T* operator->() const { return &std::get<0>(state_); }
    Error& error() { return std::get<1>(state_); }
    const Error& error() const { return std::get<1>(state_); }

private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    explicit operator bool() const { return !error_; }
    Error& error() { return *error_; }
    const Error& error() const { return *error_; }

private:
    std::optional<Error> error_;
};

using Status = Result<void>;

#define PUMICE_CONCAT_(a, b) a##b
#define PUMICE_CONCAT(a, b) PUMICE_CONCAT_(a, b)

/// Returns the error of `expr` from the enclosing function, if it has one.
#define PUMICE_TRY(expr)                                                     \
    do {                                                                     \
        if (auto pumice_status_ = (expr); !pumice_status_)                   \
            return std::move(pumice_status_.error());                        \
    } while (false)

/// `PUMICE_ASSIGN(auto x, f());` declares x from a Result or returns its error.
#define PUMICE_ASSIGN(decl, expr)                                            \
    auto PUMICE_CONCAT(pumice_result_, __LINE__) = (expr);                   \
    if (!PUMICE_CONCAT(pumice_result_, __LINE__))                            \
        return std::move(PUMICE_CONCAT(pumice_result_, __LINE__).error());   \
    decl = *std::move(PUMICE_CONCAT(pumice_result_, __LINE__))

}  // namespace pumice
