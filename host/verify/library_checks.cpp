// What is asked of every plugin, whatever its kinds.
#include <malloc.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plugins/check.hpp"
#include "pumice/sdk/ext/log.h"
#include "pumice/sdk/ext/progress.h"
#include "pumice/sdk/ext/tensor.h"
#include "verify/hidden_host.hpp"
#include "verify/suite.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define PUMICE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PUMICE_ASAN 1
#endif
#endif
#ifdef PUMICE_ASAN
#include <sanitizer/lsan_interface.h>
#endif

namespace pumice::verify {
namespace {

using plugins::BareHost;
using plugins::Instance;
using plugins::Library;

constexpr const char* kNone = "pumice.no-such-thing/1";

Why exports_entry_alone(const Subject& subject) {
    const auto exported = exported_symbols(subject.file);
    if (!exported) return exported.error().message;
    std::vector<std::string> others;
    for (const std::string& name : *exported)
        if (name != "pumice_plugin_entry") others.push_back(name);
    if (others.empty()) return "";
    const std::size_t all = others.size();
    others.resize(std::min<std::size_t>(all, 3));
    return fmt::format("it exports {} more: {}{}; compile with -fvisibility=hidden and link with a version script",
                       all, fmt::join(others, ", "), all > 3 ? ", …" : "");
}

Why refuses_what_is_not(const Subject& subject) {
    const auto& factory = subject.library->factory();
    const std::uint32_t count = factory.count();
    for (const std::uint32_t index : {count, count + 1, 0xFFFFFFFFu}) {
        if (factory.descriptor(index)) return fmt::format("descriptor({}) is not NULL, there are {}", index, count);
        BareHost bare;
        pumice_plugin* made = nullptr;
        if (const auto status = factory.create(index, &bare.host, &made); status != PUMICE_SDK_INVALID_ARGUMENT)
            return fmt::format("create({}) gave status {}, not PUMICE_SDK_INVALID_ARGUMENT; there are {} plugins", index,
                               status, count);
    }
    return subject.library->get_factory(kNone) ? fmt::format("get_factory(\"{}\") is not NULL", kNone) : "";
}

/// deinit and init again, and all is as before. The one that is loaded already is let be.
Why starts_again(const Subject& subject) {
    for (int round = 0; round < 8; ++round) {
        if (const Status status = subject.library->restart(); !status)
            return fmt::format("time {}: {}", round + 2, status.error().message);
        const auto again = plugins::examine(subject.library);
        if (!again) return again.error().message;
        if (plugins::to_json(again->front()) != plugins::to_json(subject.plugins.front()))
            return "it describes itself in another way after init and deinit";
    }
    return "";
}

#ifndef PUMICE_ASAN
/// Bytes that the program has from malloc.
std::size_t allocated() {
    const struct mallinfo2 info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}
#endif

Why create_and_destroy(const Plugin& plugin, int times) {
    for (int i = 0; i < times; ++i) {
        BareHost bare;
        auto instance = Instance::create(plugin.subject.library, plugin.index, &bare.host);
        if (!instance) return fmt::format("time {}: {}", i + 1, instance.error().message);
        for (const Kind& kind : kKinds) (void)instance->plugin()->get_extension(instance->plugin(), kind.extension);
    }
    return "";
}

/// What it takes and does not give back, each time.
Why leaks_nothing(const Plugin& plugin) {
    if (Why why = create_and_destroy(plugin, 64); !why.empty()) return why;
#ifdef PUMICE_ASAN
    if (__lsan_do_recoverable_leak_check() != 0) return "AddressSanitizer found memory that nobody can give back";
    return "";
#else
    // Twice, since the allocator's own books grow now and then.
    std::size_t least = SIZE_MAX;
    for (int round = 0; round < 2; ++round) {
        const std::size_t before = allocated();
        if (Why why = create_and_destroy(plugin, 256); !why.empty()) return why;
        const std::size_t after = allocated();
        least = std::min(least, after > before ? after - before : 0);
    }
    // A byte each time at least, in the allocator's units of 16.
    return least >= 256 * 16 ? fmt::format("each instance leaves about {} bytes behind", least / 256) : "";
#endif
}

Why unknown_extension(const Plugin& plugin) {
    BareHost bare;
    auto instance = Instance::create(plugin.subject.library, plugin.index, &bare.host);
    if (!instance) return instance.error().message;
    if (instance->plugin()->get_extension(instance->plugin(), kNone))
        return fmt::format("get_extension(\"{}\") is not NULL", kNone);
    // Two instances live beside each other, and go in any order.
    auto second = std::make_unique<Result<Instance>>(
        Instance::create(plugin.subject.library, plugin.index, &bare.host));
    if (!*second) return "a second instance beside the first: " + second->error().message;
    if ((**second).plugin() == instance->plugin()) return "create gave the same instance twice";
    if (instance->plugin()->descriptor != (**second).plugin()->descriptor)
        return "two instances have two descriptors";
    return "";
}

/// A host may lack any of what it offers. The plugin may refuse, and must not crash.
Why bare_hosts(const Plugin& plugin) {
    for (const char* id : {PUMICE_HOST_TENSOR_1, PUMICE_HOST_PROGRESS_1, PUMICE_HOST_MATH_1, PUMICE_HOST_LOG_1, ""}) {
        BareHost bare;
        const HiddenHost hidden(&bare.host, id);
        auto instance = Instance::create(plugin.subject.library, plugin.index, hidden.host());
        if (instance)
            for (const Kind& kind : kKinds) (void)instance->plugin()->get_extension(instance->plugin(), kind.extension);
        else if (instance.error().code == Code::internal)
            return fmt::format("without {}: {}", *id ? id : "all of them", instance.error().message);
    }
    return "";
}

Why on_two_threads(const Plugin& plugin) {
    std::array<Why, 2> whys;
    std::array<std::thread, 2> threads;
    for (std::size_t i = 0; i < threads.size(); ++i)
        threads[i] = std::thread([&, i] { whys[i] = create_and_destroy(plugin, 200); });
    for (std::thread& thread : threads) thread.join();
    return whys[0].empty() ? whys[1] : whys[0];
}

}  // namespace

Checks library_checks(const Subject& subject) {
    return {{"library: exports the entry alone", [&] { return exports_entry_alone(subject); }},
            {"library: refuses an index or an id that is none", [&] { return refuses_what_is_not(subject); }},
            {"library: init and deinit, eight times", [&] { return starts_again(subject); }}};
}

Checks plugin_checks(const Plugin& plugin) {
    const std::string who = "plugin " + plugin.description().id + ": ";
    return {{who + "instances side by side, and no extension that is none", [=] { return unknown_extension(plugin); }},
            {who + "create and destroy leave nothing behind", [=] { return leaks_nothing(plugin); }},
            {who + "instances on two threads", [=] { return on_two_threads(plugin); }},
            {who + "a host that lacks an extension", [=] { return bare_hosts(plugin); }}};
}

std::vector<Trial> trials(const plugins::Method& method) {
    std::vector<plugins::ParamValue> defaults;
    for (const plugins::Param& p : method.params) defaults.push_back({p.default_number, p.default_text});
    std::vector<Trial> all = {{"", defaults}};
    const auto add = [&](std::size_t i, double number, const std::string& shown) {
        Trial trial{fmt::format("{}={}", method.params[i].id, shown), defaults};
        trial.values[i] = {number, ""};
        all.push_back(std::move(trial));
    };
    for (std::size_t i = 0; i < method.params.size(); ++i) {
        const plugins::Param& p = method.params[i];
        if (p.type == PUMICE_PARAM_INT || p.type == PUMICE_PARAM_FLOAT)
            for (const double v : {p.least, p.most}) add(i, v, fmt::to_string(v));
        if (p.type == PUMICE_PARAM_BOOL)
            for (const double v : {0.0, 1.0}) add(i, v, v != 0 ? "true" : "false");
        if (p.type == PUMICE_PARAM_ENUM)
            for (std::size_t c = 0; c < p.choices.size(); ++c) add(i, static_cast<double>(c), p.choices[c]);
        if (p.type == PUMICE_PARAM_STRING || p.type == PUMICE_PARAM_FILE) add(i, 0, "\"\"");
    }
    return all;
}

}  // namespace pumice::verify
