// Networks and kernels for C++17: weights, graphs, programs and pictures that release themselves, and errors that stay.
// Header-only, over the C headers alone; nothing here throws but what the standard library throws.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "pumice/sdk.hpp"

namespace pumice::sdk {

/// The host's extensions that networks and pictures need, and the first error of a job that uses them: what is asked
/// for after it does nothing, and run gives it back.
class Job {
public:
    explicit Job(const pumice_host* from)
        : host(from),
          graph(find_extension<pumice_host_graph_1>(from, PUMICE_HOST_GRAPH_1)),
          weights(find_extension<pumice_host_weights_1>(from, PUMICE_HOST_WEIGHTS_1)),
          kernel(find_extension<pumice_host_kernel_1>(from, PUMICE_HOST_KERNEL_1)),
          image(find_extension<pumice_host_image_1>(from, PUMICE_HOST_IMAGE_1)),
          progress(find_extension<pumice_host_progress_1>(from, PUMICE_HOST_PROGRESS_1)) {
        if (!graph || !weights || !kernel || !image || !progress)
            fail(PUMICE_SDK_MISSING_FEATURE, "the host has no device: pumice.graph/1 and its like are missing");
    }
    Job(const Job&) = delete;

    bool ok() const { return status_ == PUMICE_SDK_OK; }
    pumice_sdk_status status() const { return status_; }
    /// Takes over a status that the host gave.
    bool take(pumice_sdk_status status) {
        if (ok()) status_ = status;
        return ok();
    }
    /// Ends the job.
    void fail(pumice_sdk_status status, const std::string& why) {
        if (!ok()) return;
        host->set_error(host, why.c_str());
        status_ = status;
    }
    /// Part `done` (from 1) of `all` has ended; false when the job is to end.
    bool step(std::uint32_t done, std::uint32_t all) { return ok() && take(progress->step(host, done, all)); }

    const pumice_host* const host;
    const pumice_host_graph_1* const graph;
    const pumice_host_weights_1* const weights;
    const pumice_host_kernel_1* const kernel;
    const pumice_host_image_1* const image;
    const pumice_host_progress_1* const progress;

private:
    pumice_sdk_status status_ = PUMICE_SDK_OK;
};

/// A picture of the host's, or one of its own, which it releases.
class Picture {
public:
    Picture(Job& job, pumice_picture lent) : job_(&job), handle_(lent) { read_info(); }
    Picture(Job& job, std::uint32_t format, std::uint32_t width, std::uint32_t height) : job_(&job), owned_(true) {
        if (job.ok()) job.take(job.image->create(job.host, format, width, height, &handle_));
        read_info();
    }
    ~Picture() {
        if (owned_ && handle_) job_->image->release(job_->host, handle_);
    }
    Picture(const Picture&) = delete;

    pumice_picture handle() const { return handle_; }
    std::uint32_t width() const { return info_.width; }
    std::uint32_t height() const { return info_.height; }
    std::uint32_t format() const { return info_.format; }
    bool has_alpha() const { return format() == PUMICE_PICTURE_RGBA8 || format() == PUMICE_PICTURE_RGBA32F; }
    std::uint32_t channels() const { return has_alpha() ? 4 : 3; }
    /// A row of a picture of 8 bits.
    std::uint8_t* row(std::uint32_t y) const { return static_cast<std::uint8_t*>(info_.pixels) + y * info_.row_bytes; }

private:
    void read_info() {
        info_.struct_size = sizeof info_;
        if (job_->ok() && handle_) job_->take(job_->image->info(job_->host, handle_, &info_));
    }
    Job* job_;
    pumice_picture handle_ = 0;
    pumice_picture_info info_{};
    bool owned_ = false;
};

/// A file of weights; closed when it goes.
class WeightFile {
public:
    WeightFile(Job& job, const char* path) : job_(&job) {
        if (job.ok()) job.take(job.weights->open(job.host, path, &handle_));
    }
    ~WeightFile() {
        if (handle_) job_->weights->close(job_->host, handle_);
    }
    WeightFile(const WeightFile&) = delete;

    std::uint32_t count() const { return handle_ ? job_->weights->count(job_->host, handle_) : 0; }
    std::string name(std::uint32_t index) const { return info(index).name; }
    bool has(const std::string& name) const { return find(name) < count(); }
    /// Empty where there is none of that name.
    std::vector<std::uint64_t> shape(const std::string& name) const {
        const std::uint32_t index = find(name);
        if (index >= count()) return {};
        const pumice_weight_info i = info(index);
        return {i.shape, i.shape + i.rank};
    }
    pumice_weight load(const std::string& name, std::uint32_t use) const {
        pumice_weight weight = 0;
        if (job_->ok()) job_->take(job_->weights->load(job_->host, handle_, name.c_str(), use, &weight));
        return weight;
    }

private:
    std::uint32_t find(const std::string& name) const {
        return handle_ ? job_->weights->find(job_->host, handle_, name.c_str()) : 0;
    }
    pumice_weight_info info(std::uint32_t index) const {
        pumice_weight_info info{};
        info.struct_size = sizeof info;
        info.name = info.dtype = "";
        if (job_->ok()) job_->take(job_->weights->info(job_->host, handle_, index, &info));
        return info;
    }
    Job* job_;
    pumice_weight_file handle_ = 0;
};

/// A graph being built: the operators with what rarely changes left out.
class Graph {
public:
    Graph(Job& job, pumice_graph handle) : job_(job), handle_(handle) {}

    pumice_graph handle() const { return handle_; }
    pumice_shape shape(pumice_node x) const { return job_.graph->shape(job_.host, handle_, x); }
    void scope(const std::string& name) { job_.graph->set_scope(job_.host, handle_, name.c_str()); }
    pumice_node input(std::uint32_t h, std::uint32_t w, std::uint32_t c, std::uint32_t n = 1) {
        return job_.graph->input(job_.host, handle_, {n, h, w, c});
    }
    void output(pumice_node x) { job_.graph->output(job_.host, handle_, x); }

    pumice_node conv2d(pumice_node x, pumice_conv2d_options options) {
        options.struct_size = sizeof options;
        return job_.ok() ? job_.graph->conv2d(job_.host, handle_, x, &options) : 0;
    }
    /// A 3x3 convolution that keeps the size: NAME.weight and NAME.bias of the file, and a leaky ReLU where slope is
    /// not 1.
    pumice_node conv3(const WeightFile& file, const std::string& name, pumice_node x, float slope = 1,
                      bool float32 = false) {
        pumice_conv2d_options o{};
        o.weight = file.load(name + ".weight", PUMICE_WEIGHT_CONV);
        if (file.has(name + ".bias")) o.bias = file.load(name + ".bias", PUMICE_WEIGHT_VECTOR);
        o.stride = 1;
        o.pad_top = o.pad_left = o.pad_bottom = o.pad_right = 1;
        o.activation = slope == 1 ? PUMICE_ACTIVATE_NONE : PUMICE_ACTIVATE_LEAKY_RELU;
        o.slope = slope;
        o.float32 = float32 ? 1 : 0;
        return conv2d(x, o);
    }
    pumice_node prelu(pumice_node x, pumice_weight slopes) { return job_.graph->prelu(job_.host, handle_, x, slopes); }
    pumice_node concat(pumice_node a, pumice_node b) { return job_.graph->concat(job_.host, handle_, a, b); }
    pumice_node combine(std::initializer_list<pumice_graph_term> terms) {
        return job_.graph->combine(job_.host, handle_, terms.begin(), static_cast<std::uint32_t>(terms.size()));
    }
    pumice_node resample(pumice_node x, pumice_resample_options options) {
        options.struct_size = sizeof options;
        return job_.graph->resample(job_.host, handle_, x, &options);
    }
    pumice_node enlarge_nearest(pumice_node x, std::uint32_t factor) {
        const pumice_shape s = shape(x);
        pumice_resample_options o{};
        o.method = PUMICE_RESAMPLE_NEAREST;
        o.rows = s.h * factor;
        o.columns = s.w * factor;
        return resample(x, o);
    }
    pumice_node pixel_shuffle(pumice_node x, std::uint32_t r, std::uint32_t channels) {
        return job_.graph->pixel_shuffle(job_.host, handle_, x, r, channels);
    }
    pumice_node pixel_unshuffle(pumice_node x, std::uint32_t r, std::uint32_t channels) {
        return job_.graph->pixel_unshuffle(job_.host, handle_, x, r, channels);
    }
    /// A kernel that writes one tensor.
    pumice_node append(pumice_kernel kernel, std::initializer_list<pumice_node> reads, pumice_shape writes,
                       const void* push, std::uint32_t groups_x, std::uint32_t groups_y = 1) {
        pumice_kernel_use use{};
        use.struct_size = sizeof use;
        use.reads = reads.begin();
        use.writes = &writes;
        use.push = push;
        use.groups[0] = groups_x;
        use.groups[1] = groups_y;
        use.groups[2] = 1;
        pumice_node written = 0;
        if (job_.ok()) job_.take(job_.kernel->append(job_.host, handle_, kernel, &use, &written));
        return written;
    }

private:
    Job& job_;
    pumice_graph handle_;
};

/// A kernel of GLSL that reads float tensors, written for float32.
inline pumice_kernel make_kernel(Job& job, const char* name, const char* glsl, std::uint32_t reads,
                                 std::uint32_t writes, std::uint32_t push_bytes) {
    pumice_kernel_options o{};
    o.struct_size = sizeof o;
    o.name = name;
    o.f32.glsl = glsl;
    o.reads = reads;
    o.writes = writes;
    o.push_bytes = push_bytes;
    pumice_kernel kernel = 0;
    if (job.ok()) job.take(job.kernel->create(job.host, &o, &kernel));
    return kernel;
}

/// A program; released when it goes. `build` (Graph& → void) appends, and must live as long as this.
template <class Build>
class Program {
public:
    Program(Job& job, const char* name, Build build) : job_(job), build_(std::move(build)) {
        pumice_program_options o{};
        o.struct_size = sizeof o;
        o.name = name;
        o.build = [](void* data, pumice_graph handle) -> pumice_sdk_status {
            auto* self = static_cast<Program*>(data);
            Graph graph(self->job_, handle);
            self->build_(graph);
            return self->job_.status();
        };
        o.data = this;
        if (job.ok()) job.take(job.graph->create(job.host, &o, &handle_));
    }
    ~Program() {
        if (handle_) job_.graph->release(job_.host, handle_);
    }
    Program(const Program&) = delete;

    void run() {
        if (job_.ok()) job_.take(job_.graph->run(job_.host, handle_));
    }
    void write(const Picture& picture, std::int32_t x, std::int32_t y, std::uint32_t input = 0) {
        if (job_.ok()) job_.take(job_.graph->write_picture(job_.host, handle_, input, picture.handle(), x, y));
    }
    void write(const std::vector<float>& values, std::uint32_t input = 0) {
        if (job_.ok()) job_.take(job_.graph->write(job_.host, handle_, input, values.data(), values.size()));
    }
    void read(std::vector<float>& values, std::uint32_t output = 0) {
        if (job_.ok()) job_.take(job_.graph->read(job_.host, handle_, output, values.data(), values.size()));
    }
    /// width x height pixels of the output from (from_x, from_y) on, to (x, y).
    void read(Picture& picture, std::uint32_t from_x, std::uint32_t from_y, std::uint32_t width, std::uint32_t height,
              std::uint32_t x, std::uint32_t y, std::uint32_t channels = PUMICE_CHANNELS_RGB) {
        if (job_.ok())
            job_.take(job_.graph->read_picture(job_.host, handle_, 0, from_x, from_y, width, height, picture.handle(),
                                               x, y, channels));
    }

private:
    Job& job_;
    Build build_;
    pumice_program handle_ = 0;
};

}  // namespace pumice::sdk
