// An adapter's file (LoRA, LyCORIS) matched to a model, and the adapters in use.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/adapter_patch.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

/// Immutable. The file stays mapped; its tensors are read when they are merged.
class Adapter {
public:
    /// Matches a file of any format to a model, and checks every tensor before anything is changed. Errors are one line
    /// that names the file: those of WeightFile::open; Code::unsupported for an adapter of another family, or none at
    /// all; Code::bad_format for a tensor that is missing or misshapen.
    static Result<std::shared_ptr<const Adapter>> open(const std::filesystem::path&, const AdapterTargets&);
    static Result<std::shared_ptr<const Adapter>> match(WeightFile, const AdapterTargets&);

    const WeightFile& file() const { return file_; }
    const std::vector<AdapterModule>& modules() const { return modules_; }
    /// Tensors of the file that belong to nothing of the model: how many, and a line for the user; "" when there are
    /// none.
    std::size_t left_out() const { return left_out_; }
    std::string warning() const;

private:
    explicit Adapter(WeightFile file) : file_(std::move(file)) {}
    Status check(const AdapterTargets&) const;

    WeightFile file_;
    std::vector<AdapterModule> modules_;
    std::size_t left_out_ = 0;
    std::string first_left_out_;
};

/// The adapters of a run with their strengths, and what they change.
class AdapterSet {
public:
    struct Entry {
        std::shared_ptr<const Adapter> adapter;
        float text = 1, unet = 1;  ///< strengths
        friend bool operator==(const Entry&, const Entry&) = default;
    };
    AdapterSet() = default;
    explicit AdapterSet(std::vector<Entry>);

    const std::vector<Entry>& entries() const { return entries_; }
    bool changes(const std::string& tensor) const { return changes_.count(tensor) > 0; }
    /// What happens to a tensor of the model, in the order of the entries.
    Result<std::vector<AdapterPatch>> patches(const std::string& tensor) const;
    friend bool operator==(const AdapterSet& a, const AdapterSet& b) { return a.entries_ == b.entries_; }

private:
    struct Change {
        const AdapterModule* module;
        float strength;
        bool bias;
    };
    std::vector<Entry> entries_;
    std::map<std::string, std::vector<Change>> changes_;  ///< by the model's tensor
};

}  // namespace pumice
