#include "plugins/install_keys.hpp"

#include <fmt/format.h>

#include <toml++/toml.h>

#include "image/atomic_file.hpp"
#include "outcome.hpp"
#include "plugins/package_folder.hpp"
#include "plugins/package_path.hpp"

namespace pumice::host {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kLargestFile = std::size_t(16) << 20;

fs::path keys_file(const fs::path& plugins) {
    return plugins / ".keys.toml";
}

}  // namespace

Expected<PinnedKeys> parse_keys(std::string_view text, const std::string& file_name) {
    // toml++ reports by exception; this is the only place that sees one.
    try {
        PinnedKeys keys;
        const toml::table root = toml::parse(text);
        for (const auto& [id, node] : root) {
            const auto key = parse_key(node.is_string() ? node.as_string()->get() : "");
            if (!key || !is_plugin_id(id.str()))
                return Failure{PUMICE_BAD_FORMAT, fmt::format("{}:{}: {}: this is no plugin's id with its key",
                                                              file_name, id.source().begin.line, printable(id.str()))};
            keys[std::string(id.str())] = *key;
        }
        return keys;
    } catch (const toml::parse_error& error) {
        return Failure{PUMICE_BAD_FORMAT,
                       fmt::format("{}:{}:{}: not TOML: {}", file_name, error.source().begin.line,
                                   error.source().begin.column, printable(error.description(), 300))};
    }
}

Expected<PinnedKeys> read_keys(const fs::path& plugins) {
    const fs::path file = keys_file(plugins);
    const auto bytes = read_bytes(file, kLargestFile);
    if (!bytes && bytes.failure().status == PUMICE_NOT_FOUND) return PinnedKeys{};
    if (!bytes) return Failure(bytes.failure());
    return parse_keys({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, file.string());
}

Expected<void> write_keys(const fs::path& plugins, const PinnedKeys& keys) {
    if (keys.empty()) {
        std::error_code error;
        fs::remove(keys_file(plugins), error);
        if (!error) return {};
        return Failure{PUMICE_IO, fmt::format("cannot remove {}: {}", keys_file(plugins).string(), error.message())};
    }
    // is_plugin_id leaves nothing that needs an escape.
    std::string toml = "# Whose key may update which plugin; kept by `pumice plugins`.\n";
    for (const auto& [id, key] : keys) toml += fmt::format("\"{}\" = \"{}\"\n", id, key_text(key));
    const auto written = write_file(
        keys_file(plugins), {reinterpret_cast<const std::uint8_t*>(toml.data()), toml.size()}, Existing::replace);
    if (!written) return written.failure();
    return {};
}

}  // namespace pumice::host
