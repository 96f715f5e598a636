#include "verify/counted_session.hpp"

#include <cstring>
#include <type_traits>

#include "graph/graph.hpp"
#include "pumice/sdk/ext/graph.h"
#include "pumice/sdk/ext/image.h"
#include "pumice/sdk/ext/kernel.h"
#include "pumice/sdk/ext/weights.h"

namespace pumice::verify {
namespace {

template <class Extension>
constexpr const char* kIdOf = nullptr;
template <>
constexpr const char* kIdOf<pumice_host_image_1> = PUMICE_HOST_IMAGE_1;
template <>
constexpr const char* kIdOf<pumice_host_weights_1> = PUMICE_HOST_WEIGHTS_1;
template <>
constexpr const char* kIdOf<pumice_host_graph_1> = PUMICE_HOST_GRAPH_1;
template <>
constexpr const char* kIdOf<pumice_host_kernel_1> = PUMICE_HOST_KERNEL_1;

/// The table that calls are handed on to.
template <class Extension>
const Extension& real(CountedSession& session) {
    return *static_cast<const Extension*>(session.host()->get_extension(session.host(), kIdOf<Extension>));
}

/// A function that gives a status. Name::text() is what it is called.
template <auto Member, class Name>
struct Counted;
template <class Extension, class... Args, pumice_sdk_status (*Extension::*Member)(const pumice_host*, Args...),
          class Name>
struct Counted<Member, Name> {
    static pumice_sdk_status call(const pumice_host* host, Args... args) {
        CountedSession& session = CountedSession::of(host);
        if (const Status status = session.counter().call(Name::text()); !status) return session.answer(status);
        return (real<Extension>(session).*Member)(host, args...);
    }
};

/// A function of what builds a network, which may go on after an error: that stays with the graph.
template <auto Member, class Name>
struct Building;
template <class Extension, class Given, class... Args,
          Given (*Extension::*Member)(const pumice_host*, std::uint32_t, Args...), class Name>
struct Building<Member, Name> {
    static Given call(const pumice_host* host, std::uint32_t graph, Args... args) {
        CountedSession& session = CountedSession::of(host);
        const Status status = session.counter().call(Name::text(), true);
        if (status) return (real<Extension>(session).*Member)(host, graph, args...);
        // Of pumice.weights/1 the number is a file's, and the status is the caller's to look at.
        if constexpr (!std::is_same_v<Extension, pumice_host_weights_1>)
            if (plugins::Building* at = session.device()->building(graph)) at->graph->fail(status.error());
        if constexpr (std::is_same_v<Given, pumice_sdk_status>)
            return session.answer(status);
        else
            return 0;
    }
};

/// `table.member` goes through Wrapper.
#define PUMICE_COUNT(Wrapper, member)                                                           \
    do {                                                                                        \
        struct Name {                                                                           \
            static const char* text() { return #member; }                                       \
        };                                                                                      \
        table.member = &Wrapper<&std::remove_reference_t<decltype(table)>::member, Name>::call; \
    } while (false)

void count_calls(pumice_host_image_1& table) {
    PUMICE_COUNT(Counted, create);
    PUMICE_COUNT(Counted, info);
}

void count_calls(pumice_host_weights_1& table) {
    PUMICE_COUNT(Counted, open);
    PUMICE_COUNT(Building, info);
    PUMICE_COUNT(Building, load);
    PUMICE_COUNT(Counted, read);
}

void count_calls(pumice_host_kernel_1& table) {
    PUMICE_COUNT(Counted, create);
    PUMICE_COUNT(Building, append);
}

void count_calls(pumice_host_graph_1& table) {
    PUMICE_COUNT(Counted, info);
    PUMICE_COUNT(Counted, create);
    PUMICE_COUNT(Counted, run);
    PUMICE_COUNT(Counted, write);
    PUMICE_COUNT(Counted, read);
    PUMICE_COUNT(Counted, write_picture);
    PUMICE_COUNT(Counted, read_picture);
    PUMICE_COUNT(Building, check);
    PUMICE_COUNT(Building, input);
    PUMICE_COUNT(Building, linear);
    PUMICE_COUNT(Building, conv2d);
    PUMICE_COUNT(Building, matmul);
    PUMICE_COUNT(Building, softmax);
    PUMICE_COUNT(Building, group_norm);
    PUMICE_COUNT(Building, layer_norm);
    PUMICE_COUNT(Building, attention);
    PUMICE_COUNT(Building, activation);
    PUMICE_COUNT(Building, prelu);
    PUMICE_COUNT(Building, combine);
    PUMICE_COUNT(Building, concat);
    PUMICE_COUNT(Building, resample);
    PUMICE_COUNT(Building, pixel_shuffle);
    PUMICE_COUNT(Building, pixel_unshuffle);
    PUMICE_COUNT(Building, timestep_embedding);
}

#undef PUMICE_COUNT

/// The host's table with its calls counted, which is the same for every session.
template <class Extension>
const void* counted(const void* found) {
    static const Extension table = [found] {
        Extension made = *static_cast<const Extension*>(found);
        count_calls(made);
        return made;
    }();
    return &table;
}

const void* find_counted(const pumice_host* host, const char* id) {
    const pumice_host* own = CountedSession::of(host).host();
    const void* found = own->get_extension(own, id);
    if (!found) return nullptr;
    if (std::strcmp(id, PUMICE_HOST_IMAGE_1) == 0) return counted<pumice_host_image_1>(found);
    if (std::strcmp(id, PUMICE_HOST_WEIGHTS_1) == 0) return counted<pumice_host_weights_1>(found);
    if (std::strcmp(id, PUMICE_HOST_GRAPH_1) == 0) return counted<pumice_host_graph_1>(found);
    if (std::strcmp(id, PUMICE_HOST_KERNEL_1) == 0) return counted<pumice_host_kernel_1>(found);
    return found;
}

}  // namespace

CountedSession::CountedSession(const Plugin& plugin, Counter& counter)
    : Session(plugin.description().id, {}, nullptr), counter_(counter), counted_(*Session::host()) {
    if (plugin.subject.device.device) offer(plugin.subject.device);
    counted_.get_extension = find_counted;
}

}  // namespace pumice::verify
