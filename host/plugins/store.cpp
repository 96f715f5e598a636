#include "plugins/store.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include <fmt/format.h>

#include "base/hash.hpp"
#include "plugins/check.hpp"
#include "pumice/sdk/version.h"

namespace pumice::plugins {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

/// Verdicts of another version of the checks do not count: another Pumice, ABI or set of kinds.
const std::string kMade = fmt::format("pumice {} ABI {}.{} kinds {}", PUMICE_VERSION_TEXT, PUMICE_SDK_ABI_MAJOR,
                                      PUMICE_SDK_ABI_MINOR, std::size(kKinds));

/// Discarded for a file that is missing, damaged, or larger than thousands of plugins make it.
nlohmann::json read_json(const fs::path& file) {
    constexpr std::uintmax_t kLargest = 64u << 20;
    std::error_code error;
    const std::uintmax_t size = fs::file_size(file, error);
    if (error || size > kLargest || !fs::is_regular_file(file, error)) return nlohmann::json::value_t::discarded;
    std::string text(static_cast<std::size_t>(size), '\0');
    std::ifstream in(file, std::ios::binary);
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    return nlohmann::json::parse(text, nullptr, false);
}

/// Whole or not at all: a new file that takes the old one's name.
Status write_json(const fs::path& file, const Json& json) {
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    const fs::path part = file.string() + fmt::format(".{}.part", ::getpid());
    {
        std::ofstream out(part, std::ios::binary);
        out << json.dump(1, ' ', false, Json::error_handler_t::replace) << '\n';
        out.flush();
        if (!out) {
            fs::remove(part, error);
            return Error{Code::io, fmt::format("cannot write {}; check the folder's permissions and the disk's space",
                                               file.string())};
        }
    }
    fs::rename(part, file, error);
    if (!error) return {};
    const std::string reason = error.message();
    fs::remove(part, error);
    return Error{Code::io, fmt::format("cannot write {}: {}", file.string(), reason)};
}

struct Stat {
    std::uint64_t size;
    std::int64_t time;
};

std::optional<Stat> stat_of(const fs::path& file) {
    struct stat s {};
    if (::stat(file.c_str(), &s) != 0) return std::nullopt;
    return Stat{static_cast<std::uint64_t>(s.st_size),
                static_cast<std::int64_t>(s.st_mtim.tv_sec) * 1'000'000'000 + s.st_mtim.tv_nsec};
}

}  // namespace

Store::Store(fs::path folder) : folder_(std::move(folder)) {
    if (folder_.empty()) return;
    read_verdicts();
    read_off();
}

void Store::read_verdicts() {
    const auto json = read_json(folder_ / "plugin-verdicts.json");
    try {
        if (!json.is_object() || json.value("made", "") != kMade) return;
        for (const auto& [path, item] : json.at("libraries").items()) {
            Entry entry;
            item.at("size").get_to(entry.size);
            item.at("time").get_to(entry.time);
            item.at("sha256").get_to(entry.sha256);
            entry.verdict.reason = one_line(item.value("reason", ""));
            for (const auto& each : item.at("plugins")) {
                auto description = description_from_json(each);
                if (!description) return;
                entry.verdict.plugins.push_back(*std::move(description));
            }
            if (entry.verdict.plugins.empty() && entry.verdict.reason.empty()) continue;
            verdicts_.emplace(path, std::move(entry));
        }
    } catch (const nlohmann::json::exception&) {
        verdicts_.clear();
    }
}

void Store::read_off() {
    const auto json = read_json(folder_ / "plugins-off.json");
    if (!json.is_object()) return;
    for (const auto& [id, item] : json.items()) {
        if (!item.is_object() || !is_id(id.c_str())) continue;
        const auto text = [&item = item](const char* key) {
            return item.contains(key) && item[key].is_string() ? item[key].get<std::string>() : "";
        };
        off_[id] = {text("by") == "crash" ? Off::By::crash : Off::By::user, one_line(text("reason"))};
    }
}

std::optional<Verdict> Store::verdict(const fs::path& library) {
    const auto found = verdicts_.find(library.string());
    const auto now = stat_of(library);
    if (found == verdicts_.end() || !now) return std::nullopt;
    Entry& entry = found->second;
    if (entry.size == now->size && entry.time == now->time) return entry.verdict;
    if (entry.size != now->size) return std::nullopt;
    const auto hash = sha256_file(library);
    if (!hash || *hash != entry.sha256) return std::nullopt;
    entry.time = now->time;
    changed_ = true;
    return entry.verdict;
}

void Store::keep(const fs::path& library, const Verdict& verdict) {
    const auto now = stat_of(library);
    const auto hash = sha256_file(library);
    if (folder_.empty() || !now || !hash) return;
    verdicts_[library.string()] = {now->size, now->time, *hash, verdict};
    changed_ = true;
}

void Store::save_verdicts() {
    if (folder_.empty() || !changed_) return;
    Json libraries = Json::object();
    for (const auto& [path, entry] : verdicts_) {
        std::error_code error;
        if (!fs::exists(path, error)) continue;
        Json plugins = Json::array();
        for (const Description& each : entry.verdict.plugins) plugins.push_back(to_json(each));
        libraries[path] = {{"size", entry.size},
                           {"time", entry.time},
                           {"sha256", entry.sha256},
                           {"reason", entry.verdict.reason},
                           {"plugins", std::move(plugins)}};
    }
    // Without them the next start tries out again: slower, and nothing worse.
    if (write_json(folder_ / "plugin-verdicts.json", {{"made", kMade}, {"libraries", std::move(libraries)}}))
        changed_ = false;
}

Status Store::set_off(const std::string& id, std::optional<Off> off) {
    if (folder_.empty())
        return Error{Code::invalid_argument, "there is no folder to keep what is off; set HOME or XDG_STATE_HOME"};
    if (off)
        off_[id] = *std::move(off);
    else
        off_.erase(id);
    Json json = Json::object();
    for (const auto& [each, why] : off_)
        json[each] = {{"by", why.by == Off::By::crash ? "crash" : "user"}, {"reason", why.reason}};
    return write_json(folder_ / "plugins-off.json", json);
}

}  // namespace pumice::plugins
