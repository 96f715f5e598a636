#include "vulkan/profile.hpp"

#include <algorithm>

namespace pumice {

double Profile::now() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Profile::sum(const ProfiledRun& run) {
    const ProfiledProgram& program = *run.program;
    auto stage = std::find_if(stages_.begin(), stages_.end(), [&](const Stage& s) { return s.name == program.name; });
    if (stage == stages_.end()) stage = stages_.insert(stages_.end(), Stage{.name = program.name});
    ++stage->runs;
    stage->host_seconds += run.end - run.begin;
    stage->device_seconds += run.device_seconds;
    stage->flops += program.flops;
    stage->device_bytes = std::max(stage->device_bytes, run.device_bytes);
    for (std::size_t i = 0; i < run.spans.size(); ++i) {
        const ProfiledDispatch& d = program.dispatches[i];
        auto kernel = std::find_if(kernels_.begin(), kernels_.end(), [&](const Kernel& k) {
            return k.module == d.module && k.constants == d.constants && k.stage == program.name;
        });
        if (kernel == kernels_.end())
            kernel = kernels_.insert(kernels_.end(), Kernel{program.name, d.module, d.constants});
        kernel->seconds += run.spans[i].seconds;
        kernel->flops += d.flops;
        kernel->bytes += d.bytes;
        ++kernel->dispatches;
    }
}

void Profile::add(ProfiledRun run) {
    const std::lock_guard lock(mutex_);
    sum(run);
    if (spans_ + run.spans.size() > options_.most_spans) {
        dropped_ += run.spans.size();
        run.spans.clear();
    }
    spans_ += run.spans.size();
    runs_.push_back(std::move(run));
}

}  // namespace pumice
