#include "cli/model_folders.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <iterator>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "config/suggest.hpp"
#include "image/atomic_file.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr int kDepth = 5;
constexpr std::size_t kMostEntries = 20'000;
constexpr std::size_t kMostCache = std::size_t(64) << 20;

struct KnownFolder {
    std::string_view name;  ///< in lower case
    ModelKind kind;
};
/// The web UI's modules/shared_cmd_options.py and paths.py, ComfyUI's folder_paths.py.
constexpr KnownFolder kFolders[] = {
    {"stable-diffusion", ModelKind::checkpoint},
    {"checkpoints", ModelKind::checkpoint},
    {"diffusers", ModelKind::checkpoint},
    {"unet", ModelKind::checkpoint},
    {"diffusion_models", ModelKind::checkpoint},
    {"vae", ModelKind::vae},
    {"vae_approx", ModelKind::vae},
    {"vae-approx", ModelKind::vae},
    {"text_encoder", ModelKind::text_encoder},
    {"text_encoders", ModelKind::text_encoder},
    {"clip", ModelKind::text_encoder},
    {"lora", ModelKind::lora},
    {"loras", ModelKind::lora},
    {"lycoris", ModelKind::lora},
    {"embeddings", ModelKind::embedding},
    {"hypernetworks", ModelKind::hypernetwork},
    {"controlnet", ModelKind::control},
    {"t2i_adapter", ModelKind::control},
    {"esrgan", ModelKind::upscaler},
    {"realesrgan", ModelKind::upscaler},
    {"upscale_models", ModelKind::upscaler},
    {"swinir", ModelKind::upscaler},
};
constexpr std::string_view kEndings[] = {".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf"};

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

bool is_weights(const fs::path& path) {
    const std::string ending = lower(path.extension().string());
    return std::find(std::begin(kEndings), std::end(kEndings), ending) != std::end(kEndings);
}

bool is_diffusers(const fs::path& folder) {
    std::error_code ignored;
    return fs::exists(folder / "model_index.json", ignored);
}

std::optional<ModelKind> kind_of_folder(const fs::path& folder) {
    const std::string name = lower(folder.filename().string());
    for (const KnownFolder& known : kFolders)
        if (known.name == name) return known.kind;
    return std::nullopt;
}

std::vector<fs::path> children(const fs::path& folder) {
    std::vector<fs::path> all;
    std::error_code error;
    for (fs::directory_iterator it(folder, fs::directory_options::skip_permission_denied, error), end;
         !error && it != end; it.increment(error))
        if (!it->path().filename().string().starts_with('.')) all.push_back(it->path());
    std::sort(all.begin(), all.end());
    return all;
}

class Lister {
public:
    std::vector<ModelEntry> entries;

    void root(const fs::path& given) {
        std::error_code ignored;
        bool known = false;
        for (const fs::path& base : {given, given / "models"})
            for (const fs::path& child : children(base))
                if (const auto kind = kind_of_folder(child); kind && fs::is_directory(child, ignored)) {
                    known = true;
                    folder(child, child, kind, kDepth);
                }
        // Beside known sub-folders only the files that lie in the root itself; a plain folder with all below it.
        folder(given, given, std::nullopt, known ? 0 : kDepth);
    }

private:
    void folder(const fs::path& path, const fs::path& base, std::optional<ModelKind> kind, int depth) {
        std::error_code ignored;
        for (const fs::path& child : children(path)) {
            if (entries.size() >= kMostEntries) return;
            const bool is_folder = fs::is_directory(child, ignored);
            if (is_folder ? is_diffusers(child) : is_weights(child))
                add(child, base, kind, is_folder);
            else if (is_folder && depth > 0)
                folder(child, base, kind, depth - 1);
        }
    }

    void add(const fs::path& path, const fs::path& base, std::optional<ModelKind> kind, bool is_folder) {
        // For a folder the time of its UNet's weights would be truer, but its index is written anew with them.
        struct stat status {};
        if (::stat((is_folder ? path / "model_index.json" : path).c_str(), &status) != 0) return;
        if (std::any_of(entries.begin(), entries.end(), [&](const ModelEntry& e) { return e.path == path; })) return;
        fs::path name = path.lexically_relative(base);
        if (!is_folder) name.replace_extension();
        entries.push_back({path, kind, name.string(), is_folder ? 0 : static_cast<std::uint64_t>(status.st_size),
                           std::int64_t(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec});
    }
};

std::string text_of(const Json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

template <class T>
T number_of(const Json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_number_integer() ? at->get<T>() : T{};
}

bool is_hash_prefix(const std::string& name) {
    return name.size() >= 8 && name.size() <= 64 &&
           name.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

using Candidates = std::vector<const ModelEntry*>;

Expected<fs::path> one_of(const std::string& name, const Candidates& found) {
    if (found.size() == 1) return found.front()->path;
    std::string all;
    for (std::size_t i = 0; i < found.size() && i < 6; ++i) all += (i ? ", " : "") + found[i]->path.string();
    if (found.size() > 6) all += fmt::format(" and {} more", found.size() - 6);
    return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("the name {} is that of {} models: {}; name the file",
                                                        host::shown(name), found.size(), all)};
}

Failure unknown(const std::string& name, ModelKind kind, const Candidates& entries, const std::string& where) {
    std::vector<std::string> stems;
    for (const ModelEntry* e : entries) {
        stems.push_back(e->name);
        stems.push_back(fs::path(e->name).filename().string());
    }
    const std::vector<std::string_view> words(stems.begin(), stems.end());
    std::string hint = host::did_you_mean(name, words);
    if (hint.empty() && !entries.empty()) hint = "; `pumice models list` shows what there is";
    return {PUMICE_NOT_FOUND, fmt::format("there is no {} {}, neither here nor in {}{}", to_string(kind),
                                          host::shown(name), where, hint)};
}

}  // namespace

const char* to_string(ModelKind kind) {
    switch (kind) {
        case ModelKind::checkpoint:
            return "model";
        case ModelKind::vae:
            return "VAE";
        case ModelKind::text_encoder:
            return "text encoder";
        case ModelKind::lora:
            return "LoRA";
        case ModelKind::embedding:
            return "embedding";
        case ModelKind::hypernetwork:
            return "hypernetwork";
        case ModelKind::control:
            return "control network";
        case ModelKind::upscaler:
            return "upscaler";
    }
    return "model";
}

std::vector<fs::path> folders_of(std::span<const std::string> roots, ModelKind kind) {
    std::vector<fs::path> folders;
    std::error_code ignored;
    for (const std::string& text : roots) {
        const fs::path root(text);
        for (const fs::path& base : {root, root / "models", root.parent_path(), root.parent_path().parent_path()})
            for (const fs::path& child : children(base))
                if (kind_of_folder(child) == kind && fs::is_directory(child, ignored) &&
                    std::find(folders.begin(), folders.end(), child) == folders.end())
                    folders.push_back(child);
    }
    return folders;
}

std::vector<ModelEntry> list_models(std::span<const std::string> roots) {
    Lister lister;
    for (const std::string& root : roots) lister.root(root);
    return std::move(lister.entries);
}

ModelCache::ModelCache(std::string folder) {
    if (folder.empty()) return;
    file_ = fs::path(std::move(folder)) / "models.json";
    std::error_code error;
    if (fs::file_size(file_, error) > kMostCache || error) return;
    std::ifstream in(file_, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const Json json = Json::parse(text, nullptr, false);
    const auto files = json.is_object() ? json.find("files") : json.end();
    if (!json.is_object() || files == json.end() || !files->is_object()) return;
    for (const auto& [path, row] : files->items())
        if (row.is_object())
            rows_.emplace_back(path, Row{number_of<std::uint64_t>(row, "bytes"),
                                         number_of<std::int64_t>(row, "changed"),
                                         {text_of(row, "sha256"), text_of(row, "family"), text_of(row, "title")}});
}

Expected<ModelFacts> ModelCache::facts(const ModelEntry& entry, bool hash) {
    std::error_code error;
    const std::string path = fs::absolute(entry.path, error).lexically_normal().string();
    auto row = std::find_if(rows_.begin(), rows_.end(), [&](const auto& r) { return r.first == path; });
    if (row == rows_.end()) row = rows_.insert(rows_.end(), {path, Row{}});
    Row& known = row->second;
    if (known.bytes != entry.bytes || known.changed != entry.changed || known.facts.family.empty()) {
        known = {entry.bytes, entry.changed, {}};
        changed_ = true;
        HOST_ASSIGN(const std::string described, describe_file(entry.path.string()));
        const Json json = Json::parse(described, nullptr, false);
        known.facts.family = text_of(json, "family");
        if (const auto metadata = json.find("metadata"); metadata != json.end() && metadata->is_object())
            for (const char* key : {"modelspec.title", "title", "ss_output_name"})
                if (known.facts.title.empty()) known.facts.title = text_of(*metadata, key);
    }
    if (hash && known.facts.sha256.empty()) {
        HOST_ASSIGN(known.facts.sha256, file_sha256(entry.path.string()));
        changed_ = true;
    }
    return known.facts;
}

void ModelCache::save() {
    if (!changed_ || file_.empty()) return;
    Json files = Json::object();
    for (const auto& [path, row] : rows_)
        files[path] = {{"bytes", row.bytes},
                       {"changed", row.changed},
                       {"sha256", row.facts.sha256},
                       {"family", row.facts.family},
                       {"title", row.facts.title}};
    const std::string text = Json{{"files", files}}.dump(1, ' ', false, Json::error_handler_t::replace);
    std::error_code ignored;
    fs::create_directories(file_.parent_path(), ignored);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    // A cache that cannot be kept costs time at the next start, and nothing else.
    (void)host::write_file(file_, {bytes, text.size()}, host::Existing::replace);
    changed_ = false;
}

Expected<fs::path> choose_model(const std::string& name, ModelKind kind, std::span<const ModelEntry> entries,
                                ModelCache& cache, const std::string& where) {
    Candidates all;
    for (const ModelEntry& e : entries)
        if (!e.kind || *e.kind == kind) all.push_back(&e);
    const auto with = [&](const std::function<bool(const ModelEntry&)>& holds) {
        Candidates found;
        for (const ModelEntry* e : all)
            if (holds(*e)) found.push_back(e);
        return found;
    };
    const std::string folded = lower(name);
    const auto file_name = [](const ModelEntry& e) { return e.path.filename().string(); };
    const auto stem = [](const ModelEntry& e) { return fs::path(e.name).filename().string(); };
    const auto below = [](const ModelEntry& e) { return e.name + e.path.extension().string(); };
    const std::function<bool(const ModelEntry&)> by_name[] = {
        [&](const ModelEntry& e) { return below(e) == name || file_name(e) == name; },
        [&](const ModelEntry& e) { return e.name == name || stem(e) == name; },
        [&](const ModelEntry& e) {
            return lower(below(e)) == folded || lower(e.name) == folded || lower(stem(e)) == folded;
        },
    };
    for (const auto& holds : by_name)
        if (const Candidates found = with(holds); !found.empty()) return one_of(name, found);
    // A model that cannot be read has no hash and no title.
    const auto by_facts = [&](bool hash, const std::function<bool(const ModelFacts&)>& holds) {
        return with([&](const ModelEntry& e) {
            const auto facts = cache.facts(e, hash);
            return facts && holds(*facts);
        });
    };
    if (is_hash_prefix(name))
        if (const Candidates found = by_facts(true, [&](const ModelFacts& f) { return f.sha256.starts_with(folded); });
            !found.empty())
            return one_of(name, found);
    if (const Candidates found =
            by_facts(false, [&](const ModelFacts& f) { return !f.title.empty() && lower(f.title) == folded; });
        !found.empty())
        return one_of(name, found);
    return unknown(name, kind, all, where);
}

}  // namespace pumice::cli
