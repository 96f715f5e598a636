#include "kernels/kernel.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <set>
#include <thread>

#include "kernels/embedded.hpp"
#include "kernels/shader_compiler.hpp"

namespace pumice {

std::span<const std::uint32_t> embedded_shader(std::string_view module) {
    for (const EmbeddedModules* file : embedded_shader_files())
        for (const EmbeddedModule& m : *file)
            if (m.name == module) return m.words;
    return {};
}

std::vector<std::string_view> embedded_shader_names() {
    std::vector<std::string_view> names;
    for (const EmbeddedModules* file : embedded_shader_files())
        for (const EmbeddedModule& m : *file) names.push_back(m.name);
    std::sort(names.begin(), names.end());
    return names;
}

KernelCache::KernelCache(std::shared_ptr<Device> device) : device_(std::move(device)) {}

KernelCache::~KernelCache() {
    for (auto& [key, pipeline] : pipelines_) destroy_pipeline(*device_, *pipeline);
}

void KernelCache::add_module(const std::string& name, std::vector<std::uint32_t> words) {
    const std::lock_guard lock(mutex_);
    modules_.try_emplace(name, std::move(words));
}

bool KernelCache::has_module(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return modules_.contains(name);
}

void KernelCache::set_source_folder(std::filesystem::path folder) { source_folder_ = std::move(folder); }

Result<Pipeline> KernelCache::create(const KernelKey& key) {
    std::vector<std::uint32_t> compiled;
    std::span<const std::uint32_t> words = embedded_shader(key.module);
    if (words.empty()) {
        const std::lock_guard lock(mutex_);
        if (const auto it = modules_.find(key.module); it != modules_.end()) words = it->second;
    }
    if (!source_folder_.empty() && !has_module(key.module)) {
        const auto file = source_folder_ / (key.module.substr(0, key.module.find('.')) + ".comp");
        PUMICE_ASSIGN(const auto variants, parse_shader_variants(file));
        const auto variant = std::find_if(variants.begin(), variants.end(),
                                          [&](const ShaderVariant& v) { return v.name == key.module; });
        if (variant == variants.end())
            return Error{Code::not_found, file.string() + " has no variant " + key.module};
        PUMICE_ASSIGN(compiled, compile_shader(file, *variant, source_folder_ / "include"));
        words = compiled;
    }
    if (words.empty()) return Error{Code::internal, "no shader module is named " + key.module};
    return create_pipeline(*device_, {words, key.specialization, key.bindings, key.push_bytes,
                                      key.required_subgroup_size, key.module});
}

Result<const Pipeline*> KernelCache::get(const KernelKey& key) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto it = pipelines_.find(key); it != pipelines_.end()) return it->second.get();
    }
    PUMICE_ASSIGN(Pipeline made, create(key));
    const std::lock_guard lock(mutex_);
    auto [it, inserted] = pipelines_.try_emplace(key);
    if (inserted) it->second = std::make_unique<Pipeline>(made);
    else destroy_pipeline(*device_, made);  // another thread was faster
    return it->second.get();
}

Status KernelCache::prepare(std::span<const KernelKey> keys) {
    std::vector<const KernelKey*> missing;
    {
        const std::lock_guard lock(mutex_);
        std::set<KernelKey> seen;
        for (const auto& key : keys)
            if (!pipelines_.contains(key) && seen.insert(key).second) missing.push_back(&key);
    }
    std::atomic<std::size_t> next{0};
    std::mutex error_mutex;
    std::optional<Error> first_error;
    const auto work = [&] {
        for (std::size_t i; (i = next.fetch_add(1)) < missing.size();) {
            auto made = get(*missing[i]);
            if (made) continue;
            const std::lock_guard lock(error_mutex);
            if (!first_error) first_error = std::move(made.error());
        }
    };
    const std::size_t threads = std::min<std::size_t>(missing.size(), std::max(1u, std::thread::hardware_concurrency()));
    std::vector<std::jthread> pool;
    for (std::size_t i = 1; i < threads; ++i) pool.emplace_back(work);
    work();
    pool.clear();
    if (first_error) return *std::move(first_error);
    return {};
}

}  // namespace pumice
