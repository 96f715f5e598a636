// The adapters of a request: those it names by file and those its prompt names, found in folders.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "adapters/adapter.hpp"
#include "adapters/textual_inversion.hpp"
#include "models/model.hpp"
#include "pumice/pumice.h"

namespace pumice {

/// The adapters that a model has had, which stay open: their file is looked at once.
class AdapterShelf {
public:
    struct Book {
        std::shared_ptr<const Adapter> adapter;
        std::string hash;  ///< as AUTOMATIC1111 has it in "Lora hashes"
        std::filesystem::file_time_type changed;
    };
    /// Errors of Adapter::open.
    Result<const Book*> take(const std::filesystem::path&, Model&);

private:
    std::map<std::filesystem::path, Book> books_;
};

/// What of a request concerns adapters, done.
struct UsedAdapters {
    std::string prompt;  ///< without `<lora:…>`
    AdapterSet set;
    nlohmann::ordered_json report;   ///< an array: name, file, hash, weights
    std::vector<std::string> notes;  ///< what of a file was left out
};

/// PUMICE_NOT_FOUND for a name that no folder has; invalid_argument for a weight; errors of Adapter::open.
Result<UsedAdapters> use_adapters(AdapterShelf&, Model&, const pumice_request&);

/// The embeddings whose names stand in a request's prompts and that the model takes.
struct UsedEmbeddings {
    std::vector<TextualInversion> all;
    nlohmann::ordered_json report;   ///< an array: name, file, hash
    std::vector<std::string> notes;  ///< those that are for another kind of model
};

/// `prompt` is without `<lora:…>`. Errors of TextualInversion::open, of those named alone.
Result<UsedEmbeddings> use_embeddings(const Model&, const pumice_request&, const std::string& prompt);

/// The file of a name in the folders and those in them: its name without ending, or its path in the folder. Of several
/// the first in order. Nothing when there is none.
std::optional<std::filesystem::path> find_by_name(const std::string& name, const std::vector<std::string>& folders);

/// Code::not_found for `name`: the folders, and some that are there.
Error not_found_by_name(const char* what, const std::string& name, const std::vector<std::string>& folders);

}  // namespace pumice
