#include "plugins/package_toml.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "config/suggest.hpp"
#include "outcome.hpp"
#include "plugins/package_path.hpp"

namespace pumice::host {
namespace {

constexpr std::size_t kLongestText = 200;
constexpr std::size_t kMostFiles = 4096;
constexpr std::size_t kMostExtensions = 64;
constexpr std::array<std::string_view, 6> kPlatforms = {"linux-x86_64",  "linux-aarch64",  "macos-x86_64",
                                                        "macos-aarch64", "windows-x86_64", "windows-aarch64"};

const char* type_of(const toml::node& node) {
    return node.is_string()           ? "a text"
           : node.is_integer()        ? "a whole number"
           : node.is_floating_point() ? "a number with a fraction"
           : node.is_table()          ? "a table"
           : node.is_array()          ? "a list"
           : node.is_boolean()        ? "true or false"
                                      : "a date or time";
}

/// "pumice.sampler/1".
bool is_extension(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos || !is_plugin_id(text.substr(0, slash))) return false;
    const std::string_view revision = text.substr(slash + 1);
    return !revision.empty() && revision.size() <= 4 && revision[0] != '0' &&
           std::all_of(revision.begin(), revision.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_sha256(std::string_view text) {
    return text.size() == 64 && std::all_of(text.begin(), text.end(),
                                            [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// Reads one document; `name` stands in messages.
class Reader {
public:
    Reader(const std::string& name, Hashes hashes) : name_(name), hashes_(hashes) {}

    Packaged<PackageDescription> read(const toml::table& root) {
        using Take = Packaged<Done> (Reader::*)(const std::string&, const toml::node&);
        static constexpr std::array<std::pair<std::string_view, Take>, 9> kKeys = {{{"id", &Reader::id},
                                                                                    {"name", &Reader::title},
                                                                                    {"version", &Reader::version},
                                                                                    {"vendor", &Reader::vendor},
                                                                                    {"licence", &Reader::licence},
                                                                                    {"sdk", &Reader::sdk},
                                                                                    {"extensions", &Reader::extensions},
                                                                                    {"libraries", &Reader::libraries},
                                                                                    {"files", &Reader::files}}};
        std::vector<std::string_view> names;
        for (const auto& [key, take] : kKeys) names.push_back(key);
        for (const auto& [key, node] : root)
            if (std::find(names.begin(), names.end(), key.str()) == names.end()) return unknown(key, "", names);
        for (const auto& [key, take] : kKeys) {
            const auto found = root.find(key);
            if (found == root.end()) return bad(fmt::format("{}: {}: this key is missing", name_, key));
            HOST_TRY((this->*take)(where(found->first, ""), found->second));
        }
        HOST_TRY(check_names());
        return std::move(description_);
    }

private:
    static PackageFailure bad(std::string message) { return {Refusal::none, std::move(message)}; }

    std::string where(const toml::key& key, const std::string& prefix) const {
        return fmt::format("{}:{}: {}", name_, key.source().begin.line, printable(prefix + std::string(key.str())));
    }

    PackageFailure unknown(const toml::key& key, const std::string& prefix,
                           std::span<const std::string_view> known) const {
        std::vector<std::string> full;
        for (const std::string_view name : known) full.push_back(prefix + std::string(name));
        const std::vector<std::string_view> words(full.begin(), full.end());
        return bad(fmt::format("{}: there is no such key{}", where(key, prefix),
                               did_you_mean(prefix + std::string(key.str()), words)));
    }

    /// A text of one line.
    static Packaged<std::string> text(const std::string& at, const toml::node& node) {
        const auto* value = node.as_string();
        if (!value) return bad(fmt::format("{}: this is {}, but must be a text", at, type_of(node)));
        const std::string& given = value->get();
        const bool control = std::any_of(given.begin(), given.end(),
                                         [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
        if (given.empty() || given.size() > kLongestText || control)
            return bad(fmt::format("{}: this must be one line of 1 to {} characters", at, kLongestText));
        return given;
    }

    Packaged<Done> take_text(const std::string& at, const toml::node& node, std::string& to) {
        HOST_ASSIGN(to, text(at, node));
        return Done{};
    }
    Packaged<Done> title(const std::string& at, const toml::node& node) {
        return take_text(at, node, description_.name);
    }
    Packaged<Done> vendor(const std::string& at, const toml::node& node) {
        return take_text(at, node, description_.vendor);
    }
    Packaged<Done> licence(const std::string& at, const toml::node& node) {
        return take_text(at, node, description_.licence);
    }

    Packaged<Done> id(const std::string& at, const toml::node& node) {
        HOST_TRY(take_text(at, node, description_.id));
        if (is_plugin_id(description_.id)) return Done{};
        return bad(
            fmt::format("{}: {} is no id: a-z, 0-9, '_', '-' and single dots, a letter first, as "
                        "org.example.sampler; at most 64 characters",
                        at, printable(description_.id)));
    }

    Packaged<Done> version(const std::string& at, const toml::node& node) {
        HOST_ASSIGN(const std::string given, text(at, node));
        const auto parsed = parse_version(given);
        if (!parsed)
            return bad(fmt::format("{}: {} is no version of the form 1.2.3 (semver.org)", at, printable(given)));
        description_.version = *parsed;
        return Done{};
    }

    Packaged<Done> sdk(const std::string& at, const toml::node& node) {
        constexpr std::int64_t kMost = 9999;
        const auto* value = node.as_integer();
        if (!value)
            return bad(
                fmt::format("{}: this is {}, but must be a whole number from 1 to {}", at, type_of(node), kMost));
        if (value->get() < 1 || value->get() > kMost)
            return bad(fmt::format("{}: {} is not a whole number from 1 to {}", at, value->get(), kMost));
        description_.sdk = static_cast<std::uint32_t>(value->get());
        return Done{};
    }

    Packaged<std::vector<std::string>> texts(const std::string& at, const toml::node& node, std::size_t most) {
        const toml::array* list = node.as_array();
        if (!list) return bad(fmt::format("{}: this is {}, but must be a list of texts", at, type_of(node)));
        if (list->size() > most) return bad(fmt::format("{}: at most {} can be listed", at, most));
        std::vector<std::string> all;
        for (const toml::node& each : *list) {
            const std::string line = fmt::format("{}:{}", name_, each.source().begin.line);
            HOST_ASSIGN(std::string one, text(line + at.substr(at.find(": ")), each));
            all.push_back(std::move(one));
        }
        return all;
    }

    Packaged<Done> extensions(const std::string& at, const toml::node& node) {
        HOST_ASSIGN(description_.extensions, texts(at, node, kMostExtensions));
        for (const std::string& extension : description_.extensions)
            if (!is_extension(extension))
                return bad(
                    fmt::format("{}: {} is no extension of the form pumice.sampler/1", at, printable(extension)));
        if (description_.extensions.empty()) return bad(fmt::format("{}: at least one must be listed", at));
        return Done{};
    }

    Packaged<Done> files(const std::string& at, const toml::node& node) {
        HOST_ASSIGN(description_.files, texts(at, node, kMostFiles));
        for (const std::string& file : description_.files) HOST_TRY(path(at, file));
        return Done{};
    }

    /// check_path, with the place in plugin.toml before its message.
    static Packaged<Done> path(const std::string& at, const std::string& file) {
        if (auto checked = check_path(file); !checked)
            return PackageFailure(checked.failure().refusal, at + ": " + checked.failure().message);
        return Done{};
    }

    Packaged<Done> libraries(const std::string& at, const toml::node& node) {
        const toml::table* table = node.as_table();
        if (!table) return bad(fmt::format("{}: this must be a table, [libraries.linux-x86_64]", at));
        for (const auto& [key, inner] : *table) {
            const std::string platform(key.str());
            if (std::find(kPlatforms.begin(), kPlatforms.end(), platform) == kPlatforms.end())
                return bad(fmt::format("{}: {} is not one of {}{}", where(key, "libraries."), printable(platform),
                                       fmt::join(kPlatforms, ", "), did_you_mean(platform, kPlatforms)));
            HOST_TRY(library(where(key, "libraries."), inner, description_.libraries[platform], platform));
        }
        if (table->empty()) return bad(fmt::format("{}: a library for one platform at least must be named", at));
        return Done{};
    }

    Packaged<Done> library(const std::string& at, const toml::node& node, PackageLibrary& to,
                           const std::string& platform) {
        static constexpr std::array<std::string_view, 2> kKeys = {"file", "sha256"};
        const std::string prefix = "libraries." + platform + ".";
        const toml::table* table = node.as_table();
        if (!table) return bad(fmt::format("{}: this is {}, but must be a table with file", at, type_of(node)));
        for (const auto& [key, value] : *table) {
            if (key.str() == "file") {
                HOST_TRY(take_text(where(key, prefix), value, to.file));
                HOST_TRY(path(where(key, prefix), to.file));
            } else if (key.str() == "sha256") {
                HOST_TRY(take_text(where(key, prefix), value, to.sha256));
                if (!is_sha256(to.sha256))
                    return bad(fmt::format("{}: this must be 64 digits 0-9 and a-f", where(key, prefix)));
            } else {
                return unknown(key, prefix, kKeys);
            }
        }
        if (to.file.empty()) return bad(fmt::format("{}.file: this key is missing", at));
        if (to.sha256.empty() && hashes_ == Hashes::required)
            return bad(fmt::format("{}.sha256: this key is missing; `pumice plugins pack` fills it in", at));
        return Done{};
    }

    /// No two names may be one, whatever the file system thinks of upper and lower case; two platforms may share one.
    Packaged<Done> check_names() const {
        std::set<std::string> files, libraries;
        for (const auto& [platform, library] : description_.libraries) libraries.insert(fold_case(library.file));
        for (const std::string& file : description_.files)
            if (!files.insert(fold_case(file)).second || libraries.count(fold_case(file)) != 0)
                return PackageFailure(Refusal::duplicate,
                                      fmt::format("{}: files: {} is named twice", name_, printable(file)));
        return Done{};
    }

    const std::string& name_;
    Hashes hashes_;
    PackageDescription description_;
};

}  // namespace

Packaged<PackageDescription> parse_description(std::string_view toml, const std::string& file_name, Hashes hashes) {
    // toml++ reports by exception; this is the only place that sees one.
    try {
        return Reader(file_name, hashes).read(toml::parse(toml));
    } catch (const toml::parse_error& error) {
        return Failure{PUMICE_BAD_FORMAT,
                       fmt::format("{}:{}:{}: not TOML: {}", file_name, error.source().begin.line,
                                   error.source().begin.column, printable(error.description(), 300))};
    }
}

std::string format_description(const PackageDescription& description) {
    // Written by hand, since the formatting of toml++ differs between its versions, and a signature is over bytes. Its
    // strings hold no control characters, so only these two need an escape.
    const auto quoted = [](const std::string& text) {
        std::string escaped;
        for (const char c : text) {
            if (c == '"' || c == '\\') escaped += '\\';
            escaped += c;
        }
        return '"' + escaped + '"';
    };
    const auto list = [&](const std::vector<std::string>& texts) {
        std::vector<std::string> all;
        for (const std::string& text : texts) all.push_back(quoted(text));
        return fmt::format("[{}]", fmt::join(all, ", "));
    };
    std::string toml = fmt::format(
        "id = {}\nname = {}\nversion = {}\nvendor = {}\nlicence = {}\nsdk = {}\nextensions = {}\nfiles = {}\n",
        quoted(description.id), quoted(description.name), quoted(description.version.text), quoted(description.vendor),
        quoted(description.licence), description.sdk, list(description.extensions), list(description.files));
    for (const auto& [platform, library] : description.libraries) {
        toml += fmt::format("\n[libraries.{}]\nfile = {}\n", platform, quoted(library.file));
        if (!library.sha256.empty()) toml += fmt::format("sha256 = {}\n", quoted(library.sha256));
    }
    return toml;
}

std::string_view host_platform() {
#if defined(__x86_64__) || defined(_M_X64)
#define PUMICE_PACKAGE_PROCESSOR "x86_64"
#elif defined(__aarch64__) || defined(_M_ARM64)
#define PUMICE_PACKAGE_PROCESSOR "aarch64"
#endif
#if defined(PUMICE_PACKAGE_PROCESSOR) && defined(__linux__)
    return "linux-" PUMICE_PACKAGE_PROCESSOR;
#elif defined(PUMICE_PACKAGE_PROCESSOR) && defined(__APPLE__)
    return "macos-" PUMICE_PACKAGE_PROCESSOR;
#elif defined(PUMICE_PACKAGE_PROCESSOR) && defined(_WIN32)
    return "windows-" PUMICE_PACKAGE_PROCESSOR;
#else
    return "";
#endif
}

}  // namespace pumice::host
