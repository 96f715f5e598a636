// What reading, packing and installing give: a value, or a failure that also says why a package was refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "pumice/pumice.hpp"

namespace pumice::host {

/// Why a package is refused. The value is the program's exit status: a script can tell one from another, and the
/// numbers stay as they are.
enum class Refusal : std::uint8_t {
    none = 0,  ///< no refusal: what failed is said by Failure::status
    no_signature = 20,
    signature = 21,  ///< does not fit the content
    other_key = 22,  ///< signed by another key than the one pinned, or no longer signed
    downgrade = 23,  ///< an older version than the installed one
    platform = 24,   ///< no library for this machine
    sdk = 25,        ///< made for a newer SDK
    hash = 26,       ///< a library whose SHA-256 is not the one in plugin.toml
    missing = 27,    ///< a file that plugin.toml names is not there
    unlisted = 28,   ///< a file that plugin.toml does not name
    duplicate = 29,  ///< two names that are one, for some file system
    traversal = 30,  ///< a name that leads out of the package
    absolute = 31,   ///< a name that does not start at the package's own folder
    name = 32,       ///< a name that not every system can hold
    link = 33,       ///< a link, or anything else that is neither file nor folder
    encrypted = 34,
    compression = 35,  ///< neither stored nor deflated
    too_large = 36,    ///< unpacks to too much, or to too many times its size
    busy = 37,         ///< another program installs
    conformance = 38,  ///< `pumice plugins verify` found something
};

/// "hash" for Refusal::hash.
std::string_view refusal_name(Refusal);

struct PackageFailure : Failure {
    Refusal refusal = Refusal::none;

    PackageFailure(Failure failure) : Failure(std::move(failure)) {}
    PackageFailure(Refusal why, std::string text, pumice_status kind = PUMICE_BAD_FORMAT)
        : Failure{kind, std::move(text)}, refusal(why) {}
};

/// A value or a PackageFailure; HOST_TRY and HOST_ASSIGN work with it, and take an Expected inside.
template <class T>
class [[nodiscard]] Packaged {
public:
    Packaged(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Packaged(PackageFailure failure) : state_(std::in_place_index<1>, std::move(failure)) {}
    Packaged(Failure failure) : Packaged(PackageFailure(std::move(failure))) {}

    explicit operator bool() const { return state_.index() == 0; }
    /// The value; only when there is one.
    T& operator*() & { return std::get<0>(state_); }
    const T& operator*() const& { return std::get<0>(state_); }
    T&& operator*() && { return std::get<0>(std::move(state_)); }
    T* operator->() { return &std::get<0>(state_); }
    const T* operator->() const { return &std::get<0>(state_); }
    /// The failure; only when there is one.
    PackageFailure& failure() { return std::get<1>(state_); }
    const PackageFailure& failure() const { return std::get<1>(state_); }

private:
    std::variant<T, PackageFailure> state_;
};

/// The value of what only can fail: `return Done{};`.
struct Done {};

/// Without control characters, and cut after `longest` bytes: for messages that show what a stranger wrote.
std::string printable(std::string_view text, std::size_t longest = 80);

}  // namespace pumice::host
