// Networks that look at a picture and steer the UNet. There is none in core: they are plugins (host/plugins), which
// append operators to the graphs that are built here.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.hpp"
#include "models/model.hpp"
#include "models/unet.hpp"

namespace pumice {

struct ControlResidual {
    std::string block;       ///< see UnetResidual
    bool to_output = false;  ///< likewise
    TensorId tensor;
    double soft_weight = 1;  ///< what it counts in ControlMode::prompt and ::control
};

/// What a control network sees in a step.
struct ControlStep {
    TensorId x, timesteps, context;      ///< as the UNet gets them
    TensorId vector{};                   ///< of SDXL; empty without
    std::span<const TensorId> prepared;  ///< what was prepared, one picture's repeated for all of the batch
};

/// A control network with its weights open. Errors go to Graph::fail. Used by one request at a time.
class ControlNetwork {
public:
    virtual ~ControlNetwork() = default;
    /// For messages: which one it is, and whose.
    virtual std::string name() const = 0;
    /// Appends what is computed once a picture, from {1, 8h, 8w, 4} in the activation type: RGB from 0 to 1.
    virtual std::vector<TensorId> prepare(Graph&, TensorId picture) = 0;
    virtual std::vector<ControlResidual> step(Graph&, const ControlStep&) = 0;
    /// Waits until the weights that were asked for are on the device.
    virtual Status flush() = 0;
};

/// As the web UI's ControlNet extension defines them.
enum class ControlMode : std::uint8_t {
    balanced,  ///< all residuals whole
    prompt,    ///< the prompt counts more: residuals with their soft weights
    control,   ///< the control counts more: likewise, and for the conditional prediction alone
};

struct Control {
    std::shared_ptr<ControlNetwork> network;
    std::vector<float> picture;  ///< {1, 8h, 8w, 4} for a latent of h x w: RGB from 0 to 1, and 0
    double weight = 1;
    double start = 0, end = 1;  ///< shares of the steps between which it counts, both ends included
    ControlMode mode = ControlMode::balanced;
};

/// The controls of a request. What is computed once has been; the rest becomes a part of the UNet's program.
class ControlSet {
public:
    using Mask = std::uint32_t;  ///< a bit a control
    static constexpr std::size_t kMost = 16, kMostResidualsEach = 64;

    /// Runs the part of each network that is computed once. Those of weight 0 are left out. Code::invalid_argument for
    /// more than kMost, or a picture of another size.
    static Result<std::unique_ptr<ControlSet>> create(Model&, std::vector<Control>, const Shape& latent,
                                                      const std::atomic<bool>* cancel = nullptr);

    /// Whether there is one at all.
    bool any() const { return !entries_.empty(); }
    /// Those that count at this share of the steps, from 0.
    Mask active(double progress) const;
    /// Those that do not count in the unconditional prediction.
    Mask conditional_only() const;

    /// A residual's weight, with whatever it depends on.
    struct Use {
        std::size_t control = 0;
        double soft_weight = 1;
    };
    /// Appends the networks of `mask`. Residual i has its weights at params[i * batch] and on; `uses` says what they
    /// are. The last of the params, of which there are params(mask, batch), is 1.
    std::vector<UnetResidual> append(Graph&, Mask mask, const ControlStep&, TensorId params,
                                     std::vector<Use>& uses) const;
    float weight(const Use&, bool conditional) const;
    /// Elements that the parameters of `mask` may need.
    static std::uint32_t params(Mask mask, std::uint32_t batch);

private:
    struct Kept {
        Shape shape;
        BufferRange range;  ///< f32
    };
    struct Entry {
        Control control;
        Shape picture;
        std::vector<Kept> kept;
    };
    ControlSet() = default;
    static Status prepare(Model&, Entry&, const std::atomic<bool>* cancel);

    std::vector<Entry> entries_;
};

}  // namespace pumice
