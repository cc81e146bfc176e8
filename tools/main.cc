// The `benchfs` command: starts, shows and stops servers on this machine, runs commands with
// servers of their own, and works on the files in them. This file knows the command line only; each
// command is in a file of its name.
#include <benchfs.h>

#include <algorithm>
#include <cstdio>
#include <exception>

#include "command.hpp"
#include "net/ucx_log.hpp"

namespace benchfs::tools {
namespace {

constexpr const char* kFooter =
    R"(Environment: BENCHFS_REGISTRY is the registry directory, BENCHFS_DATA_DIR the data directory, BENCHFS_CONFIG
a YAML file with settings of servers and clients. Exit status: 0 success, 1 failure, 2 wrong usage.
Manual: benchfs(1), benchfsd(8).)";

int fail_usage(const CLI::App& app, const std::string& cause) {
  const std::string name = app.get_parent() == nullptr ? "" : " " + app.get_name();
  print_note(cause);
  std::fprintf(stderr, "Try: benchfs%s --help\n", name.c_str());
  return kUsage;
}

int dispatch(int argc, char** argv) {
  // Everything after the first "--" is another program's business and is never parsed here.
  char** const end = argv + argc;
  char** const mark = std::find(argv, end, std::string_view("--"));
  std::vector<std::string> rest;
  if (mark != end) rest.assign(mark + 1, end);

  CLI::App app("An ad-hoc parallel file system for HPC jobs.", "benchfs");
  app.set_version_flag("--version", std::string("benchfs ") + benchfs_version());
  app.require_subcommand(1);
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.footer(kFooter);
  const Command commands[] = {
      make_start(app),    make_status(app), make_stop(app),  make_run(app),      make_env(app),
      make_ls(app),       make_stat(app),   make_mkdir(app), make_rmdir(app),    make_rm(app),
      make_ln(app),       make_mv(app),     make_touch(app), make_chmod(app),    make_chown(app),
      make_cat(app),      make_cp(app),     make_put(app),   make_get(app),      make_df(app),
      make_du(app),       make_find(app),   make_tree(app),  make_truncate(app), make_setfattr(app),
      make_getfattr(app), make_fsck(app),   make_quota(app)};
  const auto chosen = [&]() -> const Command* {
    for (const Command& command : commands)
      if (command.app->parsed()) return &command;
    return nullptr;
  };

  std::vector<std::string> parsed(argv + std::min(argc, 1), mark);
  if (!parsed.empty() && parsed.front() == "find") {
    std::transform(parsed.begin(), parsed.end(), parsed.begin(), find_word);
  }
  std::reverse(parsed.begin(), parsed.end());  // as CLI11 takes them
  try {
    app.parse(parsed);
  } catch (const CLI::Success& request) {
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    const Command* command = chosen();
    if (command == nullptr && argc > 1 && argv[1][0] != '-')
      return fail_usage(app, fmt::format("there is no command \"{}\"", argv[1]));
    return fail_usage(command == nullptr ? app : *command->app, error.what());
  }

  const Command& command = *chosen();
  // Of `benchfs run mpiexec -n 2 prog`: words of the command that stood before any "--".
  std::vector<std::string> words = command.app->remaining();
  if (!words.empty()) {
    if (mark != end) words.emplace_back("--");
    rest.insert(rest.begin(), words.begin(), words.end());
  }
  if (!rest.empty() && !command.takes_rest)
    return fail_usage(*command.app, fmt::format("unexpected argument \"{}\"", rest.front()));
  return command.run(rest);
}

}  // namespace
}  // namespace benchfs::tools

int main(int argc, char** argv) {
  benchfs::send_ucx_messages_to_log();
  try {
    return benchfs::tools::dispatch(argc, argv);
  } catch (const std::exception& error) {
    benchfs::tools::print_note(error.what());
    return benchfs::tools::kFailure;
  }
}
