// Folders of models as AUTOMATIC1111's web UI and ComfyUI lay them out, and models by the names that people give them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

enum class ModelKind : std::uint8_t { checkpoint, vae, text_encoder, lora, embedding, hypernetwork, control, upscaler };
/// "checkpoint", "LoRA".
const char* to_string(ModelKind);

struct ModelEntry {
    std::filesystem::path path;
    /// By its sub-folder; none where the folder has no sub-folders of known names, and anything may lie there.
    std::optional<ModelKind> kind;
    std::string name;          ///< below its sub-folder, without the ending: "anime/foo"
    std::uint64_t bytes = 0;   ///< 0 for a folder
    std::int64_t changed = 0;  ///< nanoseconds, as the file system counts
};

/// All models below `roots`: files with the endings of weights, and folders as diffusers saves them. A root is the web
/// UI's or ComfyUI's own folder, its `models` folder, or a plain folder of files. Sub-folders are known by their names
/// (models/Stable-diffusion, checkpoints, Lora, loras, …; case does not matter) and searched to a depth of 5. Sorted by
/// path; what cannot be read is passed over.
std::vector<ModelEntry> list_models(std::span<const std::string> roots);

/// The sub-folders of a kind in the roots, in their `models` folder, beside or above them: where names of that kind are looked
/// for. Each once, in order.
std::vector<std::filesystem::path> folders_of(std::span<const std::string> roots, ModelKind);

/// What is known of a model's contents.
struct ModelFacts {
    std::string sha256;  ///< empty: not known yet
    std::string family, title;
};

/// Facts of files kept between runs, under path, size and time of change: so a hash is computed once.
class ModelCache {
public:
    /// `folder` empty: kept for this run alone. A cache that is absent or damaged is an empty one.
    explicit ModelCache(std::string folder);
    /// Family and title; with `hash` the digest too, which reads the whole file the first time.
    Expected<ModelFacts> facts(const ModelEntry&, bool hash);
    /// Writes what is new, if anything; a cache that cannot be written is no error.
    void save();

private:
    struct Row {
        std::uint64_t bytes = 0;
        std::int64_t changed = 0;
        ModelFacts facts;
    };
    std::filesystem::path file_;
    std::vector<std::pair<std::string, Row>> rows_;  ///< by path
    bool changed_ = false;
};

/// The model that `name` means among `entries` of `kind` (or of none): its name below the sub-folder, with or without
/// ending; its file's stem; a beginning of its SHA-256, 8 digits and more (the web UI's "model hash" has 10); its title
/// in the metadata. What comes first in this list counts, case only where it decides. `where` stands in messages: the
/// folders. PUMICE_NOT_FOUND with the nearest name; PUMICE_INVALID_ARGUMENT when several are meant, naming them.
Expected<std::filesystem::path> choose_model(const std::string& name, ModelKind kind,
                                             std::span<const ModelEntry> entries, ModelCache&,
                                             const std::string& where);

}  // namespace pumice::cli
