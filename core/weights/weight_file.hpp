// A file of weights of any format, as its readers see it: named tensors and metadata.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "weights/mapped_file.hpp"
#include "weights/stored_tensor.hpp"

namespace pumice {

enum class FileFormat : std::uint8_t {
    safetensors,
    torch_zip,     ///< torch.save since PyTorch 1.6: a zip archive with a pickle
    torch_legacy,  ///< torch.save before: pickles, then the storages
    shards,        ///< an index of several files
    diffusers,     ///< a folder with a folder a part
    gguf,
};
/// "safetensors", "PyTorch checkpoint (zip)"
const char* to_string(FileFormat);

/// What the reader of a format hands to WeightFile.
struct WeightContents {
    FileFormat format = FileFormat::safetensors;
    std::filesystem::path path;                            ///< as the user named it
    std::map<std::string, std::string> metadata;           ///< safetensors' __metadata__ and the like
    std::vector<StoredTensor> tensors;                     ///< in any order, names unique
    std::vector<std::shared_ptr<const MappedFile>> files;  ///< what the tensors' data lie in …
    std::vector<std::shared_ptr<const void>> buffers;      ///< … or this, where a file has them packed or not dense
};

/// Immutable, so usable from several threads. Copies share the files.
class WeightFile {
public:
    /// Opens a file by its first bytes; its name does not matter. A folder is opened as diffusers saves one
    /// (weights/parts.hpp), an index of shards with all of them. Errors are one line that names the file: those of
    /// MappedFile::open, and Code::bad_format for a damaged file or one of no known format.
    static Result<WeightFile> open(const std::filesystem::path&);
    /// For readers of formats: sorts the tensors. Code::bad_format when two have one name.
    static Result<WeightFile> create(WeightContents);

    FileFormat format() const { return contents_->format; }
    const std::map<std::string, std::string>& metadata() const { return contents_->metadata; }
    const std::vector<StoredTensor>& tensors() const { return contents_->tensors; }  ///< by name
    /// Null if there is none of that name. The pointer lives as long as the file and its copies.
    const StoredTensor* find(std::string_view name) const;
    /// As find; Code::bad_format naming file and tensor if there is none.
    Result<const StoredTensor*> tensor(std::string_view name) const;
    /// Whether any tensor's name starts with `prefix`.
    bool has_prefix(std::string_view prefix) const { return !with_prefix(prefix).empty(); }
    /// Those whose name starts with `prefix`.
    std::span<const StoredTensor> with_prefix(std::string_view prefix) const;

    /// Hints as MappedFile's, on a part of a tensor's data.
    void will_need(std::span<const std::byte> part) const;
    void done_with(std::span<const std::byte> part) const;

    std::string path() const { return contents_->path.string(); }
    const WeightContents& contents() const { return *contents_; }
    /// The files that are mapped: one, or the shards of a model in several.
    std::span<const std::shared_ptr<const MappedFile>> files() const { return contents_->files; }

private:
    explicit WeightFile(std::shared_ptr<const WeightContents> contents) : contents_(std::move(contents)) {}
    std::shared_ptr<const WeightContents> contents_;
};

}  // namespace pumice
