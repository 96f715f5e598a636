// A logger that is passed along, never a global: each owner decides where its lines go.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace spdlog {
class logger;
}

namespace pumice {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// A handle on an spdlog logger; cheap to copy, thread-safe. A default one is silent.
class Log {
public:
    using Sink = std::function<void(LogLevel, std::string_view)>;

    Log() = default;
    explicit Log(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {}
    /// Lines of `least` and above go to `sink`, one call at a time, without time or level.
    static Log to(Sink sink, LogLevel least = LogLevel::info);

    explicit operator bool() const { return logger_ != nullptr; }
    void write(LogLevel, std::string_view line) const;

    template <class... Args>
    void debug(fmt::format_string<Args...> format, Args&&... args) const {
        if (logger_) write(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
    }
    template <class... Args>
    void info(fmt::format_string<Args...> format, Args&&... args) const {
        if (logger_) write(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
    }
    template <class... Args>
    void warning(fmt::format_string<Args...> format, Args&&... args) const {
        if (logger_) write(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
    }

private:
    std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace pumice
