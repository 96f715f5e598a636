#include "engine/adapters.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "base/hash.hpp"
#include "engine/abi.hpp"
#include "pipelines/prompt_conditioning.hpp"
#include "text/prompt_networks.hpp"

namespace pumice {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostFiles = 100000;  ///< looked at in the folders

bool is_weight_file(const fs::path& file) {
    constexpr std::string_view kEndings[] = {".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".gguf"};
    std::string ending = file.extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
    return std::find(std::begin(kEndings), std::end(kEndings), ending) != std::end(kEndings);
}

/// The weight files of a folder and those in it, in order.
std::vector<fs::path> weight_files(const std::string& folder) {
    std::vector<fs::path> files;
    std::error_code error;
    fs::recursive_directory_iterator it(
        folder, fs::directory_options::skip_permission_denied | fs::directory_options::follow_directory_symlink, error);
    for (std::size_t seen = 0; !error && it != fs::recursive_directory_iterator() && seen < kMostFiles; ++seen) {
        if (it.depth() > 8) it.disable_recursion_pending();
        std::error_code ignored;
        if (it->is_regular_file(ignored) && is_weight_file(it->path())) files.push_back(it->path());
        it.increment(error);
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// As AUTOMATIC1111's Lora extension: the hash in the metadata, else SHA-256 of a safetensors file behind its header
/// (addnet_hash_safetensors in modules/hashes.py), else of the whole file. The first 12 digits.
Result<std::string> lora_hash(const WeightFile& file) {
    if (const auto it = file.metadata().find("sshs_model_hash"); it != file.metadata().end())
        return it->second.substr(0, 12);
    if (file.files().size() != 1) return std::string();
    std::span<const std::byte> bytes = file.files().front()->bytes();
    if (file.format() == FileFormat::safetensors && bytes.size() > 8) {
        std::uint64_t header = 0;
        for (int i = 7; i >= 0; --i) header = header << 8 | std::to_integer<std::uint64_t>(bytes[std::size_t(i)]);
        if (header <= bytes.size() - 8) bytes = bytes.subspan(8 + header);
    }
    PUMICE_ASSIGN(const std::string digits, sha256(bytes));
    return digits.substr(0, 12);
}

/// In small letters, as far as they are ASCII.
std::string lowered(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

struct Wanted {
    std::string name;
    fs::path file;
    float text = 1, unet = 1;
};

Status check_strength(const Wanted& w) {
    for (const float strength : {w.text, w.unet})
        if (!(std::abs(strength) <= 1000))
            return Error{Code::invalid_argument,
                         fmt::format("adapter {}: weight {}, use -1000 to 1000", w.name, strength)};
    return {};
}

/// Those the request names by file, then those of the prompt.
Result<std::vector<Wanted>> wanted_adapters(const pumice_request& given, const std::vector<PromptNetwork>& named) {
    std::vector<Wanted> all;
    for (std::size_t i = 0; i < given.adapter_count; ++i) {
        if (!given.adapters) return Error{Code::invalid_argument, "adapters is NULL"};
        PUMICE_ASSIGN(const pumice_adapter a, abi::read_struct(given.adapters[i], "adapter"));
        const fs::path file = abi::text_or_empty(a.file);
        if (file.empty()) return Error{Code::invalid_argument, "an adapter has no file"};
        all.push_back({file.stem().string(), file, a.text_weight, a.unet_weight});
    }
    PUMICE_ASSIGN(const auto folders,
                  abi::read_texts(given.adapter_folders, given.adapter_folder_count, "adapter_folders"));
    for (const PromptNetwork& n : named) {
        if (n.kind != "lora")
            return Error{Code::unsupported,
                         fmt::format("the prompt's <{}:{}>: this version has no hypernetworks", n.kind, n.name)};
        const auto file = find_by_name(n.name, folders);
        if (!file) return not_found_by_name("LoRA", n.name, folders);
        all.push_back({n.name, *file, n.text, n.unet});
    }
    return all;
}

}  // namespace

std::optional<fs::path> find_by_name(const std::string& name, const std::vector<std::string>& folders) {
    for (const std::string& folder : folders)
        for (const fs::path& file : weight_files(folder)) {
            const fs::path inside = file.lexically_relative(folder);
            fs::path without = inside;
            without.replace_extension();
            if (file.stem() == name || file.filename() == name || inside == name || without == name) return file;
        }
    return std::nullopt;
}

Error not_found_by_name(const char* what, const std::string& name, const std::vector<std::string>& folders) {
    if (folders.empty())
        return {Code::not_found,
                fmt::format("there is no {} '{}': no folder to look in is set", what, printable(name))};
    std::vector<std::string> stems;
    for (const std::string& folder : folders)
        for (const fs::path& file : weight_files(folder))
            if (stems.size() < 5) stems.push_back(printable(file.stem().string()));
    return {Code::not_found,
            fmt::format("there is no {} '{}' in {}{}{}", what, printable(name), fmt::join(folders, ", "),
                        stems.empty() ? ", which have no weights at all" : "; there are ", fmt::join(stems, ", "))};
}

Result<const AdapterShelf::Book*> AdapterShelf::take(const fs::path& path, Model& model) {
    std::error_code missing;
    const auto changed = fs::last_write_time(path, missing);
    const auto it = books_.find(path);
    if (it != books_.end() && it->second.changed == changed) return &it->second;
    PUMICE_ASSIGN(auto adapter, Adapter::open(path, model.adapter_targets()));
    PUMICE_ASSIGN(std::string hash, lora_hash(adapter->file()));
    return &(books_[path] = {std::move(adapter), std::move(hash), changed});
}

Result<UsedAdapters> use_adapters(AdapterShelf& shelf, Model& model, const pumice_request& given) {
    PUMICE_ASSIGN(PromptWithNetworks prompt, take_networks(abi::text_or_empty(given.prompt)));
    PUMICE_ASSIGN(const auto wanted, wanted_adapters(given, prompt.networks));
    UsedAdapters used{std::move(prompt.text), {}, nlohmann::ordered_json::array(), {}};
    std::vector<AdapterSet::Entry> entries;
    for (const Wanted& w : wanted) {
        PUMICE_TRY(check_strength(w));
        PUMICE_ASSIGN(const AdapterShelf::Book* const book, shelf.take(w.file, model));
        entries.push_back({book->adapter, w.text, w.unet});
        used.report.push_back({{"name", w.name},
                               {"file", w.file.string()},
                               {"hash", book->hash},
                               {"text_weight", w.text},
                               {"unet_weight", w.unet}});
        if (std::string note = book->adapter->warning(); !note.empty()) used.notes.push_back(std::move(note));
    }
    used.set = AdapterSet(std::move(entries));
    return used;
}

Result<UsedEmbeddings> use_embeddings(const Model& model, const pumice_request& given, const std::string& prompt) {
    PUMICE_ASSIGN(const auto folders,
                  abi::read_texts(given.embedding_folders, given.embedding_folder_count, "embedding_folders"));
    // The tokenizer, which has the last word, knows no capitals.
    const std::string text = lowered(prompt + "\n" + abi::text_or_empty(given.negative_prompt));
    UsedEmbeddings used{{}, nlohmann::ordered_json::array(), {}};
    std::set<std::string> names;
    for (const std::string& folder : folders)
        for (const fs::path& file : weight_files(folder)) {
            const std::string name = lowered(file.stem().string());
            if (name.empty() || text.find(name) == std::string::npos || !names.insert(name).second) continue;
            PUMICE_ASSIGN(TextualInversion embedding, TextualInversion::open(file));
            if (!fits(embedding, model.config())) {
                used.notes.push_back(
                    fmt::format("{}: an embedding for another kind of model; '{}' in the prompt is a word",
                                file.string(), printable(embedding.name)));
                continue;
            }
            PUMICE_ASSIGN(const std::string hash, sha256_file(file));
            used.report.push_back({{"name", embedding.name}, {"file", embedding.file}, {"hash", hash.substr(0, 12)}});
            used.all.push_back(std::move(embedding));
        }
    return used;
}

}  // namespace pumice
