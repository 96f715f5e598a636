#include "pipelines/control.hpp"

#include <array>
#include <bit>
#include <cmath>

#include <fmt/format.h>

#include "ops/ops.hpp"
#include "pipelines/checked_program.hpp"
#include "vulkan/command.hpp"

namespace pumice {
namespace {

Shape picture_shape(const Shape& latent) {
    return {1, 8 * latent.h, 8 * latent.w, 4};
}

Status check(const Control& control, const Shape& latent) {
    const auto wrong = [](const std::string& text) { return Error{Code::invalid_argument, text}; };
    if (!control.network) return wrong("a control without a network");
    if (control.picture.size() != picture_shape(latent).elements())
        return wrong(fmt::format("a control picture of {} numbers for a latent of {}x{}", control.picture.size(),
                                 latent.w, latent.h));
    if (!std::isfinite(control.weight)) return wrong(fmt::format("a control of weight {}", control.weight));
    if (!(control.start >= 0 && control.start <= control.end && control.end <= 1))
        return wrong(fmt::format("a control from {} to {} of the steps: use 0 to 1, the start first", control.start,
                                 control.end));
    return {};
}

}  // namespace

Result<std::unique_ptr<ControlSet>> ControlSet::create(Model& model, std::vector<Control> controls, const Shape& latent,
                                                       const std::atomic<bool>* cancel) {
    if (controls.size() > kMost)
        return Error{Code::invalid_argument, fmt::format("{} controls, at most {} at once", controls.size(), kMost)};
    std::unique_ptr<ControlSet> made(new ControlSet);
    for (Control& control : controls) {
        PUMICE_TRY(check(control, latent));
        if (control.weight == 0) continue;
        made->entries_.push_back({std::move(control), picture_shape(latent), {}});
        Entry& entry = made->entries_.back();
        PUMICE_TRY(prepare(model, entry, cancel));
        entry.control.picture = {};
    }
    return made;
}

Status ControlSet::prepare(Model& model, Entry& entry, const std::atomic<bool>* cancel) {
    const std::shared_ptr<Device>& device = model.device();
    const std::span<const float> pixels = entry.control.picture;
    const Shape shape = entry.picture;
    PUMICE_ASSIGN(const BufferRange picture,
                  make_range(*device, pixels.size_bytes(), Intent::device, "control picture"));
    PUMICE_TRY(write_range(device, picture, std::as_bytes(pixels)));
    // Kept in f32 whatever the network runs in: a program built again in another precision finds what it expects.
    const auto build = [&](Graph& g) {
        const TensorId given = g.external(shape, DType::f32, picture, "control picture");
        std::vector<TensorId> outputs = entry.control.network->prepare(g, ops::cast(g, given, g.activation()));
        if (g.error()) return std::vector<TensorId>{};
        const bool first = entry.kept.empty();
        for (std::size_t i = 0; i < outputs.size(); ++i) {
            const Shape of = g.shape(outputs[i]);
            if (first) {
                auto range = make_range(*device, of.elements() * sizeof(float), Intent::device, "control features");
                if (!range) return g.fail(std::move(range.error())), std::vector<TensorId>{};
                entry.kept.push_back({of, *std::move(range)});
            }
            const std::array terms{ops::Term{ops::cast(g, outputs[i], DType::f32), 1}};
            ops::linear_combination(g, terms, g.external(of, DType::f32, entry.kept[i].range, "control features"));
        }
        if (Status flushed = entry.control.network->flush(); !flushed) g.fail(std::move(flushed.error()));
        return outputs;
    };
    PUMICE_ASSIGN(const auto program,
                  CheckedProgram::create(model, model.unet_weights(),
                                         {.name = "control network's first part", .build_all = build}));
    return program->run(cancel);
}

ControlSet::Mask ControlSet::active(double progress) const {
    Mask mask = 0;
    for (std::size_t i = 0; i < entries_.size(); ++i)
        if (progress >= entries_[i].control.start && progress <= entries_[i].control.end) mask |= Mask(1) << i;
    return mask;
}

ControlSet::Mask ControlSet::conditional_only() const {
    Mask mask = 0;
    for (std::size_t i = 0; i < entries_.size(); ++i)
        if (entries_[i].control.mode == ControlMode::control) mask |= Mask(1) << i;
    return mask;
}

std::uint32_t ControlSet::params(Mask mask, std::uint32_t batch) {
    return static_cast<std::uint32_t>(std::popcount(mask) * kMostResidualsEach) * batch + 1;
}

std::vector<UnetResidual> ControlSet::append(Graph& g, Mask mask, const ControlStep& step, TensorId params,
                                             std::vector<Use>& uses) const {
    const std::uint32_t batch = g.shape(step.x).n;
    const std::uint32_t one = ControlSet::params(mask, batch) - 1;
    std::vector<UnetResidual> all;
    uses.clear();
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        if ((mask >> i & 1) == 0) continue;
        std::vector<TensorId> prepared;
        for (const Kept& kept : entries_[i].kept) {
            const TensorId once = g.external(kept.shape, DType::f32, kept.range, "control features");
            prepared.push_back(ops::scale_by(g, once, params, one, g.activation(), kept.shape.n == 1 ? batch : 1));
        }
        ControlStep of_this = step;
        of_this.prepared = prepared;
        std::vector<ControlResidual> residuals = entries_[i].control.network->step(g, of_this);
        if (residuals.size() > kMostResidualsEach)
            g.fail({Code::internal, fmt::format("{} residuals of one control network", residuals.size())});
        if (g.error()) return {};
        for (ControlResidual& r : residuals) {
            all.push_back({entries_[i].control.network->name(), std::move(r.block), r.to_output, r.tensor, params,
                           static_cast<std::uint32_t>(uses.size()) * batch});
            uses.push_back({i, r.soft_weight});
        }
        if (Status flushed = entries_[i].control.network->flush(); !flushed) g.fail(std::move(flushed.error()));
    }
    return all;
}

float ControlSet::weight(const Use& use, bool conditional) const {
    const Control& control = entries_[use.control].control;
    if (control.mode == ControlMode::control && !conditional) return 0;
    return static_cast<float>(control.weight * (control.mode == ControlMode::balanced ? 1 : use.soft_weight));
}

}  // namespace pumice
