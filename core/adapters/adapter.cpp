#include "adapters/adapter.hpp"

#include <fmt/format.h>

namespace pumice {
namespace {

/// The family whose cross-attention looks at so many channels; empty for other geometries.
std::string family_of_context(std::uint64_t channels) {
    if (channels == 768) return "Stable Diffusion 1.x";
    if (channels == 1024) return "Stable Diffusion 2.x";
    if (channels == 1280) return "Stable Diffusion XL's refiner";
    if (channels == 2048) return "Stable Diffusion XL";
    return {};
}

/// Families that this version does not run at all, by names that only they have.
std::string other_family(const WeightFile& file) {
    for (const StoredTensor& t : file.tensors()) {
        const auto has = [&](const char* part) { return t.name.find(part) != std::string::npos; };
        if (has("single_blocks") || has("single_transformer_blocks") || has("double_blocks")) return "Flux";
        if (has("joint_blocks") || has("add_q_proj")) return "Stable Diffusion 3";
    }
    return {};
}

/// Input channels of a module's change, where its tensors tell without a model.
std::uint64_t input_channels(const AdapterModule& module) {
    for (const AdapterPart part : {AdapterPart::down, AdapterPart::hada_w1_b})
        if (const auto it = module.parts.find(part); it != module.parts.end())
            return it->second->shape.size() > 1 ? it->second->shape[1] : 0;
    return 0;
}

Error with_file(const WeightFile& file, Error error) {
    error.message = file.path() + ": " + error.message;
    return error;
}

}  // namespace

Result<std::shared_ptr<const Adapter>> Adapter::open(const std::filesystem::path& path, const AdapterTargets& targets) {
    PUMICE_ASSIGN(WeightFile file, WeightFile::open(path));
    return match(std::move(file), targets);
}

Result<std::shared_ptr<const Adapter>> Adapter::match(WeightFile file, const AdapterTargets& targets) {
    std::shared_ptr<Adapter> made(new Adapter(std::move(file)));
    std::map<std::string, AdapterModule> modules;
    const auto leave_out = [&](const StoredTensor& t) {
        if (made->left_out_++ == 0) made->first_left_out_ = t.name;
    };
    for (const StoredTensor& t : made->file_.tensors()) {
        const auto key = adapter_key(t.name);
        const AdapterTarget* const target = key ? targets.find(key->module) : nullptr;
        if (!target || (key->part == AdapterPart::bias_difference && !target->bias)) {
            leave_out(t);
            continue;
        }
        AdapterModule& module = modules[key->module];
        module.name = key->module;
        module.target = *target;
        if (!module.parts.emplace(key->part, &t).second)
            return with_file(made->file_, {Code::bad_format, fmt::format("tensor '{}' says again what another one says",
                                                                         printable(t.name))});
    }
    for (auto& [name, module] : modules) {
        if (module.changes_weight() || module.changes_bias())
            made->modules_.push_back(std::move(module));
        else
            for (const auto& [part, tensor] : module.parts) leave_out(*tensor);
    }
    if (Status checked = made->check(targets); !checked) return with_file(made->file_, std::move(checked.error()));
    return std::shared_ptr<const Adapter>(std::move(made));
}

Status Adapter::check(const AdapterTargets& targets) const {
    const std::uint64_t context = targets.context_channels();
    for (const AdapterModule& module : modules_) {
        const std::uint64_t channels = module.name.ends_with("attn2_to_k") ? input_channels(module) : 0;
        const std::string family = family_of_context(channels), model = family_of_context(context);
        if (channels == context || family.empty()) continue;
        return Error{Code::unsupported,
                     fmt::format("made for {} (text of {} channels), but the model's text has {}{}", family, channels,
                                 context, model.empty() ? "" : ": " + model)};
    }
    if (modules_.empty()) {
        if (const std::string family = other_family(file_); !family.empty())
            return Error{Code::unsupported, fmt::format("made for {}, which the model is not", family)};
        return Error{Code::unsupported,
                     file_.tensors().empty()
                         ? std::string("no tensors at all: no adapter")
                         : fmt::format("none of its {} tensors belongs to the model, '{}' the first: no adapter, or made "
                                       "for another kind of model",
                                       file_.tensors().size(), printable(file_.tensors().front().name))};
    }
    for (const AdapterModule& module : modules_) {
        for (const auto& [part, tensor] : module.parts)
            if (tensor->elements() == 0 || size_of(tensor->dtype) == 0)
                return Error{Code::bad_format, fmt::format("tensor '{}' is empty", printable(tensor->name))};
        if (module.changes_weight()) {
            auto patch = weight_patch(module, false);
            if (!patch) return std::move(patch.error());
            // Tables and vectors are merged on the host, which knows no factors (merge_on_host).
            const bool plain = patch->change.kind == ops::MergeChange::Kind::difference ||
                               patch->change.kind == ops::MergeChange::Kind::rows;
            if (!plain && (module.target.columns() == 1 || module.name.find("embeddings_") != std::string::npos))
                return Error{Code::unsupported,
                             fmt::format("tensor '{}' changes '{}' by factors, a vector or a table",
                                         printable(module.parts.begin()->second->name), module.target.weight->name)};
        }
        if (module.changes_bias())
            if (auto patch = bias_patch(module, false); !patch) return std::move(patch.error());
    }
    return {};
}

std::string Adapter::warning() const {
    if (left_out_ == 0) return {};
    return fmt::format("{}: {} of {} tensors belong to nothing of the model and are left out, '{}' the first",
                       file_.path(), left_out_, file_.tensors().size(), printable(first_left_out_));
}

AdapterSet::AdapterSet(std::vector<Entry> entries) : entries_(std::move(entries)) {
    for (const Entry& entry : entries_)
        for (const AdapterModule& module : entry.adapter->modules()) {
            const float strength = module.target.text ? entry.text : entry.unet;
            if (strength == 0) continue;
            if (module.changes_weight()) changes_[module.target.weight->name].push_back({&module, strength, false});
            if (module.changes_bias()) changes_[module.target.bias->name].push_back({&module, strength, true});
        }
}

Result<std::vector<AdapterPatch>> AdapterSet::patches(const std::string& tensor) const {
    std::vector<AdapterPatch> result;
    const auto it = changes_.find(tensor);
    if (it == changes_.end()) return result;
    for (const Change& change : it->second) {
        auto patch = change.bias ? bias_patch(*change.module, true) : weight_patch(*change.module, true);
        if (!patch) return std::move(patch.error());
        result.push_back(at_strength(*std::move(patch), change.strength));
    }
    return result;
}

}  // namespace pumice
