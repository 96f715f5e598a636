#include "plugins/install_state.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include "image/atomic_file.hpp"
#include "outcome.hpp"
#include "plugins/package_folder.hpp"
#include "plugins/package_path.hpp"

namespace pumice::host {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kLargestState = std::size_t(16) << 20;

fs::path state_file(const fs::path& plugins) {
    return plugins / ".state.toml";
}

Failure bad(const std::string& name, const toml::node& node, const char* what) {
    return {PUMICE_BAD_FORMAT, fmt::format("{}:{}: {}", name, node.source().begin.line, what)};
}

Expected<PluginState> state_of(const toml::table& root, const std::string& name) {
    PluginState state;
    for (const auto& [key, node] : root) {
        if (key == "disabled" && node.is_array()) {
            for (const toml::node& each : *node.as_array()) {
                const auto* id = each.as_string();
                if (!id) return bad(name, each, "disabled: this must be a list of ids of plugins");
                state.disabled.insert(id->get());
            }
        } else if (key == "keys" && node.is_table()) {
            for (const auto& [id, text] : *node.as_table()) {
                const auto pinned = parse_key(text.is_string() ? text.as_string()->get() : "");
                if (!pinned) return bad(name, text, "keys: this is no key of a plugin");
                state.keys[std::string(id.str())] = *pinned;
            }
        } else {
            return bad(name, node, "only disabled, a list, and keys, a table, can stand here");
        }
    }
    return state;
}

}  // namespace

Expected<PluginState> parse_state(std::string_view toml, const std::string& file_name) {
    // toml++ reports by exception; this is the only place that sees one.
    try {
        return state_of(toml::parse(toml), file_name);
    } catch (const toml::parse_error& error) {
        return Failure{PUMICE_BAD_FORMAT,
                       fmt::format("{}:{}:{}: not TOML: {}", file_name, error.source().begin.line,
                                   error.source().begin.column, printable(error.description(), 300))};
    }
}

Expected<PluginState> read_state(const fs::path& plugins) {
    const fs::path file = state_file(plugins);
    const auto bytes = read_bytes(file, kLargestState);
    if (!bytes && bytes.failure().status == PUMICE_NOT_FOUND) return PluginState{};
    if (!bytes) return Failure(bytes.failure());
    return parse_state({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, file.string());
}

Expected<void> write_state(const fs::path& plugins, const PluginState& state) {
    // An id is printable ASCII without quotes, so nothing needs an escape.
    std::string toml = "# Kept by `pumice plugins`.\ndisabled = [";
    for (const std::string& id : state.disabled) toml += fmt::format("{}\"{}\"", toml.ends_with('[') ? "" : ", ", id);
    toml += "]\n\n[keys]\n";
    for (const auto& [id, key] : state.keys) toml += fmt::format("\"{}\" = \"{}\"\n", id, key_text(key));
    const auto written = write_file(
        state_file(plugins), {reinterpret_cast<const std::uint8_t*>(toml.data()), toml.size()}, Existing::replace);
    if (!written) return written.failure();
    return {};
}

}  // namespace pumice::host
