#include "base/log.hpp"

#include <mutex>

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

namespace pumice {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            break;
    }
    return spdlog::level::err;
}

LogLevel from_spdlog(spdlog::level::level_enum level) {
    if (level >= spdlog::level::err) return LogLevel::error;
    if (level == spdlog::level::warn) return LogLevel::warning;
    return level == spdlog::level::info ? LogLevel::info : LogLevel::debug;
}

class FunctionSink : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit FunctionSink(Log::Sink to) : sink_(std::move(to)) {}

protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        sink_(from_spdlog(message.level), {message.payload.data(), message.payload.size()});
    }
    void flush_() override {}

private:
    Log::Sink sink_;
};

}  // namespace

Log Log::to(Sink sink, LogLevel least) {
    auto logger = std::make_shared<spdlog::logger>("pumice", std::make_shared<FunctionSink>(std::move(sink)));
    logger->set_level(to_spdlog(least));
    return Log(std::move(logger));
}

void Log::write(LogLevel level, std::string_view line) const {
    if (logger_) logger_->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace pumice
