// `benchfs df`: the space of every server, and of all together; or what there is below paths. A
// dead server does not hide the others, but then there is no sum.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "files.hpp"
#include "status.hpp"

namespace benchfs::tools {
namespace {

using Space = struct benchfs_statfs;

struct SpaceOptions {
  bool human = false, json = false;
};

/// In use by anybody, of what is not in use or may be taken: as df(1) has it.
std::string percent(const Space& space) {
  const std::uint64_t used = space.total_bytes - std::min(space.total_bytes, space.free_bytes);
  const std::uint64_t of = used + space.available_bytes;
  if (of == 0) return "-";
  return fmt::format("{:.0f}%", 100.0 * static_cast<double>(used) / static_cast<double>(of) + 0.49);
}

std::string json_numbers(const Space& space) {
  return fmt::format(
      "\"block_bytes\": {}, \"total_bytes\": {}, \"free_bytes\": {}, \"available_bytes\": {}, "
      "\"stored_bytes\": {}, \"files\": {}, \"free_files\": {}",
      space.block_bytes, space.total_bytes, space.free_bytes, space.available_bytes,
      space.stored_bytes, space.files, space.free_files);
}

/// Of paths: of their quotas, or of everything.
int report_paths(Files& files, const SpaceOptions& options, const std::vector<std::string>& words) {
  std::vector<Row> rows{{"path", "size", "stored", "available", "use", "files", "free"}};
  std::vector<std::string> objects;
  const auto size = [&](std::uint64_t bytes) {
    return options.human ? format_bytes(bytes) : std::to_string(bytes);
  };
  for (const std::string& word : words) {
    const std::string path = path_of(word);
    Space space{};
    const int error = benchfs_path_statfs(files, path.c_str(), &space);
    if (error != 0) {
      files.complain(path, error);
      continue;
    }
    rows.push_back({shown(path), size(space.total_bytes), size(space.stored_bytes),
                    size(space.available_bytes), percent(space), std::to_string(space.files),
                    std::to_string(space.free_files)});
    objects.push_back(
        fmt::format("  {{\"path\": {}, {}}}", json_string(path), json_numbers(space)));
  }
  put_out(options.json ? fmt::format("{{\"paths\": [\n{}\n]}}\n", fmt::join(objects, ",\n"))
                       : aligned(rows, 1));
  return files.status();
}

class SpaceReport {
 public:
  SpaceReport(Files& files, const SpaceOptions& options) : files_(files), options_(options) {}

  int run() {
    const int servers = benchfs_server_count(files_);
    for (int i = 0; i < servers; ++i) {
      Space space{};
      const std::string name = std::to_string(i);
      const char* host = benchfs_server_host(files_, i);
      if (benchfs_server_statfs(files_, i, &space) == 0) {
        add(name, host, space);
      } else {
        const std::string error = benchfs_error();
        files_.complain("server " + name, error);
        add_dead(name, host, error);
      }
    }
    Space sum{};
    if (files_.status() == kOk) {
      if (benchfs_statfs(files_, &sum) == 0) {
        rows_.push_back(cells("total", "", sum));
        total_ = fmt::format("{{{}}}", json_numbers(sum));
      } else {
        files_.complain("all servers", std::string(benchfs_error()));
      }
    }
    put_out(options_.json ? fmt::format("{{\n  \"servers\": [\n{}\n  ],\n  \"total\": {}\n}}\n",
                                        fmt::join(objects_, ",\n"), total_)
                          : aligned(rows_, 2));
    return files_.status();
  }

 private:
  std::string size(std::uint64_t bytes) const {
    return options_.human ? format_bytes(bytes) : std::to_string(bytes);
  }
  Row cells(const std::string& name, const std::string& host, const Space& space) const {
    return {name,
            host,
            size(space.total_bytes),
            size(space.stored_bytes),
            size(space.available_bytes),
            percent(space),
            std::to_string(space.files)};
  }
  void add(const std::string& name, const std::string& host, const Space& space) {
    rows_.push_back(cells(name, host, space));
    objects_.push_back(fmt::format("    {{\"index\": {}, \"host\": {}, \"alive\": true, {}}}", name,
                                   json_string(host), json_numbers(space)));
  }
  void add_dead(const std::string& name, const std::string& host, const std::string& error) {
    rows_.push_back({name, host, "no answer"});
    objects_.push_back(
        fmt::format("    {{\"index\": {}, \"host\": {}, \"alive\": false, \"error\": {}}}", name,
                    json_string(host), json_string(error)));
  }

  Files& files_;
  SpaceOptions options_;
  std::vector<Row> rows_{{"server", "host", "size", "stored", "available", "use", "files"}};
  std::vector<std::string> objects_;
  std::string total_ = "null";
};

}  // namespace

Command make_df(CLI::App& benchfs) {
  auto options = std::make_shared<SpaceOptions>();
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* app = benchfs.add_subcommand("df", "Show the space of the servers, in bytes");
  app->add_option("PATH", *words,
                  "What is there for files below it: within its quota, if it has one")
      ->type_name("");
  app->set_help_flag("--help", "Print this help message and exit");
  app->add_flag("-h,--human-readable", options->human, "Sizes as 1.5 MiB");
  app->add_flag("--json", options->json, "For programs");
  app->footer(
      "size: of the storage, or of the server's limit; stored: file data; available: what file\n"
      "data may still take; use: of the storage, by anybody. Storage that servers share counts "
      "once\n"
      "in the total. Exit status 1 if a server does not answer.");
  return files_command(app, std::make_shared<Where>(), words, 0,
                       [options](Files& files, const std::vector<std::string>& given) {
                         if (!given.empty()) return report_paths(files, *options, given);
                         return SpaceReport(files, *options).run();
                       });
}

}  // namespace benchfs::tools
