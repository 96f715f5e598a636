// What one instance of a plugin has on the device: files of weights, graphs it builds, programs, kernels. The other
// half of a Session: pumice.weights/1, pumice.graph/1, pumice.kernel/1.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/precision.hpp"
#include "base/result.hpp"
#include "graph/graph.hpp"
#include "kernels/kernel.hpp"
#include "models/weight_set.hpp"
#include "pumice/sdk/ext/graph.h"
#include "pumice/sdk/ext/kernel.h"
#include "pumice/sdk/ext/weights.h"
#include "vulkan/device.hpp"
#include "weights/weight_file.hpp"

namespace pumice::plugins {

class PluginProgram;
class Session;

struct DeviceServices {
    std::shared_ptr<Device> device;
    std::shared_ptr<KernelCache> kernels;
    Precision precision = Precision::fp32;      ///< of the plugin's own programs
    const std::atomic<bool>* cancel = nullptr;  ///< looked at while its programs run; outlives the session
};

/// A graph that a plugin appends to.
struct Building {
    Graph* graph = nullptr;
    PluginProgram* program = nullptr;  ///< null: a graph of the host's
    std::string scope;                 ///< before the plugin's own
};

/// A kernel of a plugin's, checked; its modules are in the KernelCache.
struct PluginKernel {
    std::string name, f32, f16;  ///< modules; f16 may be empty
    bool f16_needs_storage = false;
    std::uint32_t reads = 0, writes = 0, push_bytes = 0;
};

class DeviceSession {
public:
    DeviceSession(Session&, DeviceServices);
    ~DeviceSession();
    DeviceSession(const DeviceSession&) = delete;

    const DeviceServices& services() const { return services_; }
    Session& session() { return session_; }

    /// The handle of a graph of the host's, until end_building.
    pumice_graph begin_building(Building);
    void end_building(pumice_graph);
    Building* building(pumice_graph handle);

    /// Waits until the weights that graphs have asked for are on the device: before what was built is compiled.
    Status flush_weights();
    /// The weights leave the device; the next graph that is built brings them back.
    void release_weights();
    /// Bytes of them there now.
    std::uint64_t weight_bytes() const;
    /// Programs and files of weights that the plugin has not let go of.
    std::size_t held() const;

    /// Brings a weight to the device for a graph; an error goes to the graph, and an empty weight comes back.
    const Weight& weight(Graph&, pumice_weight handle);

    /// Of these three extensions; nullptr for others.
    static const void* extension(const char* id);

private:
    struct WeightFile {
        WeightFile(pumice::WeightFile opened, const DeviceServices& services)
            : file(std::move(opened)), set(services.device, services.kernels, file, "") {}
        WeightFile(const WeightFile&) = delete;
        pumice::WeightFile file;
        WeightSet set;  ///< points at the file
    };
    struct WeightUseOf {
        pumice_weight_file file = 0;
        std::string name;
        std::uint32_t use = 0;
    };
    static const pumice_host_weights_1& weights_extension();
    static const pumice_host_graph_1& graph_extension();
    static const pumice_host_kernel_1& kernel_extension();
    friend class GraphCalls;

    WeightFile* file(pumice_weight_file handle);
    PluginProgram* program(pumice_program handle);
    Result<pumice_weight> load(pumice_weight_file file, const char* name, std::uint32_t use);
    Result<pumice_kernel> add_kernel(const pumice_kernel_options&);
    Result<std::string> add_module(const pumice_kernel_code&, const pumice_kernel_options&, bool f16);
    Status append_kernel(pumice_graph, pumice_kernel, const pumice_kernel_use*, pumice_node* written);

    Session& session_;
    DeviceServices services_;
    std::vector<std::unique_ptr<WeightFile>> files_;  ///< handle - 1
    std::vector<WeightUseOf> weights_;                ///< handle - 1
    std::vector<PluginKernel> kernels_;               ///< handle - 1
    std::map<pumice_graph, Building> graphs_;
    pumice_graph next_graph_ = 1;
    Arena arena_;                                           ///< of all programs: they run one at a time
    std::vector<std::unique_ptr<PluginProgram>> programs_;  ///< handle - 1
};

/// A graph of the host's that a plugin appends to: the handle is valid as long as this.
class LentGraph {
public:
    /// `scope` begins the labels and messages of what the plugin appends: "controlnet.canny".
    LentGraph(DeviceSession& session, Graph& graph, std::string scope)
        : session_(session), graph_(graph), handle_(session.begin_building({&graph, nullptr, std::move(scope)})) {}
    ~LentGraph() { session_.end_building(handle_); }
    LentGraph(const LentGraph&) = delete;

    pumice_graph handle() const { return handle_; }
    static pumice_node node(TensorId id) { return id ? id.index + 1 : 0; }
    /// The empty id for what is none.
    TensorId tensor(pumice_node node) const {
        return node == 0 || node > graph_.tensors().size() ? TensorId{} : TensorId{node - 1};
    }

private:
    DeviceSession& session_;
    Graph& graph_;
    pumice_graph handle_;
};

}  // namespace pumice::plugins
