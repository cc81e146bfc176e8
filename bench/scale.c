/*
 * scale.c - what a cluster costs as it grows: memory, descriptors, messages and processor time of
 * servers and client, by one program without MPI between servers that it finds in BENCHFS_REGISTRY.
 *
 *   scale operations COUNT       messages and processor time of one operation, COUNT of each
 *   scale sessions PROCESSES STEP...
 *                                memory with STEP sessions, held by PROCESSES processes
 *
 * Prints a line per figure, with tabs: round, label, what, unit, value (load.h), where the label is
 * "server" (the mean of all), "servers" (the sum) or "client". Messages are what the servers count
 * themselves. Processor time is that of the whole process, as the kernel accounts it; it hardly
 * depends on what else the machine does. Everything written is read back and compared; what is
 * listed is counted.
 */
#define _GNU_SOURCE
#include <benchfs.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  kServersMax = 8192,
  kProcessesMax = 64,
  kSessionsMax = 10000,
  kStepsMax = 16,
  kChunk = 64 << 10,
  kBig = 1 << 20,
  kSecondsMax = 240
};

static pid_t server_pids[kServersMax];
static int servers;

static void fail(const char* format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char* format, ...) {
  va_list list;

  fputs("scale: ", stderr);
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  fputc('\n', stderr);
  exit(1);
}

static void expect(int64_t result, int64_t want, const char* what) {
  if (result == want) return;
  if (result < 0) fail("%s: %s", what, benchfs_error());
  fail("%s: %lld, not %lld", what, (long long)result, (long long)want);
}

static void figure(const char* label, const char* what, const char* unit, double value) {
  printf("0\t%s\t%s\t%s\t%.9g\n", label, what, unit, value);
}

/* ---- what the kernel knows of a process ---- */

struct usage {
  double resident_kib;  /* all, as far as it is in memory */
  double anonymous_kib; /* of that, its own */
  double shared_kib;    /* of that, in segments of shared memory */
  double descriptors;
};

static struct usage usage_of(pid_t pid) {
  struct usage found = {0, 0, 0, 0};
  char path[64], line[256];
  double value;

  snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
  FILE* file = fopen(path, "r");
  if (file == NULL) fail("process %d has gone", (int)pid);
  while (fgets(line, sizeof(line), file) != NULL) {
    if (sscanf(line, "VmRSS: %lf", &value) == 1) found.resident_kib = value;
    if (sscanf(line, "RssAnon: %lf", &value) == 1) found.anonymous_kib = value;
    if (sscanf(line, "RssShmem: %lf", &value) == 1) found.shared_kib = value;
  }
  fclose(file);
  snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
  DIR* folder = opendir(path);
  if (folder == NULL) fail("%s: %s", path, strerror(errno));
  while (readdir(folder) != NULL) ++found.descriptors;
  found.descriptors -= pid == getpid() ? 3 : 2; /* "." and "..", and the folder itself */
  closedir(folder);
  return found;
}

static struct usage usage_of_servers(void) {
  struct usage sum = {0, 0, 0, 0};

  for (int i = 0; i < servers; ++i) {
    const struct usage one = usage_of(server_pids[i]);
    sum.resident_kib += one.resident_kib;
    sum.anonymous_kib += one.anonymous_kib;
    sum.shared_kib += one.shared_kib;
    sum.descriptors += one.descriptors;
  }
  return sum;
}

static double processor_seconds(pid_t pid) {
  clockid_t clock;
  struct timespec time;

  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0)
    fail("processor time of process %d: %s", (int)pid, strerror(errno));
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double processor_seconds_of_servers(void) {
  double sum = 0;

  for (int i = 0; i < servers; ++i) sum += processor_seconds(server_pids[i]);
  return sum;
}

static double seconds_now(void) {
  struct timespec time;

  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void print_usage(const char* label, const char* when, struct usage of, double parts) {
  char what[128];
  const struct {
    const char *name, *unit;
    double value;
  } rows[] = {{"memory", "KiB", of.resident_kib},
              {"own memory", "KiB", of.anonymous_kib},
              {"shared memory", "KiB", of.shared_kib},
              {"descriptors", "", of.descriptors}};

  for (int i = 0; i < 4; ++i) {
    snprintf(what, sizeof(what), "%s, %s", rows[i].name, when);
    figure(label, what, rows[i].unit, rows[i].value / parts);
  }
}

/* From the cluster file, so that no server is asked before its memory is looked at. */
static void find_servers(void) {
  const char* registry = getenv("BENCHFS_REGISTRY");
  char path[4096], *line = NULL;
  size_t space = 0;
  int pid;

  if (registry == NULL) fail("BENCHFS_REGISTRY: not set; run this as benchfs run -- scale ...");
  snprintf(path, sizeof(path), "%s/cluster.yaml", registry);
  FILE* file = fopen(path, "r");
  if (file == NULL) fail("%s: %s", path, strerror(errno));
  double bytes = 0;
  for (ssize_t got; (got = getline(&line, &space, file)) > 0; bytes += (double)got)
    if (sscanf(line, " pid: %d", &pid) == 1 && servers < kServersMax) server_pids[servers++] = pid;
  free(line);
  fclose(file);
  if (servers == 0) fail("%s: names no server", path);
  figure("cluster", "cluster file", "bytes", bytes);
}

/* ---- operations ---- */

static benchfs_t* fs;
static double requests_own; /* the status requests themselves */

static double requests_served(void) {
  struct benchfs_server_status status;
  double sum = 0;

  for (int i = 0; i < servers; ++i) {
    expect(benchfs_server_status(fs, i, &status), 0, "status");
    sum += (double)status.requests;
  }
  requests_own += servers;
  return sum - requests_own;
}

struct mark {
  double requests, client, server, began;
};

static struct mark begin(void) {
  struct mark mark;

  mark.requests = requests_served();
  mark.client = processor_seconds(getpid());
  mark.server = processor_seconds_of_servers();
  mark.began = seconds_now();
  return mark;
}

static void end(struct mark mark, const char* what, long count) {
  const double elapsed = seconds_now() - mark.began;
  const double client = processor_seconds(getpid()) - mark.client;
  const double server = processor_seconds_of_servers() - mark.server;
  const double requests = requests_served() - mark.requests;

  figure("messages", what, "", requests / (double)count);
  figure("servers", what, "us", 1e6 * server / (double)count);
  figure("client", what, "us", 1e6 * client / (double)count);
  figure("time", what, "us", 1e6 * elapsed / (double)count);
}

/* Until the servers have nothing to say to each other any more, for two seconds at most. */
static void settle(void) {
  const struct timespec pause = {0, 50000000};
  double before = requests_served(), now;

  for (int i = 0; i < 40; ++i, before = now) {
    nanosleep(&pause, NULL);
    now = requests_served();
    if (now == before) return;
  }
}

static const char* name_of(const char* kind, long i) {
  static char path[64];

  snprintf(path, sizeof(path), "/scale/%s.%06ld", kind, i);
  return path;
}

static void list(long count) {
  struct benchfs_dirent* entry = malloc(sizeof(*entry));
  benchfs_dir_t* directory;
  long found = 0;

  if (entry == NULL) fail("no memory");
  expect(benchfs_opendir(fs, "/scale", 0, &directory), 0, "opendir");
  for (int got; (got = benchfs_readdir(directory, entry)) != 0; ++found)
    if (got < 0) fail("readdir: %s", benchfs_error());
  expect(benchfs_closedir(directory), 0, "closedir");
  free(entry);
  if (found != count) fail("readdir: %ld entries, not %ld", found, count);
}

static void operations(long count) {
  const long few = count / 10 > 2 ? count / 10 : 2;
  unsigned char *data = malloc(kBig), *back = malloc(kBig);
  struct benchfs_statfs space;
  struct benchfs_stat st;
  benchfs_file_t* file;
  struct mark mark;

  if (data == NULL || back == NULL) fail("no memory");
  figure("servers", "processor time of the start", "ms", 1e3 * processor_seconds_of_servers());
  figure("coordinator", "processor time of the start", "ms",
         1e3 * processor_seconds(server_pids[0]));
  print_usage("server", "idle", usage_of_servers(), servers);

  struct usage before = usage_of(getpid());
  double cpu = processor_seconds(getpid()), began = seconds_now();
  expect(benchfs_connect(NULL, &fs), 0, "connect");
  figure("client", "connect", "us", 1e6 * (processor_seconds(getpid()) - cpu));
  figure("time", "connect", "us", 1e6 * (seconds_now() - began));
  struct usage connected = usage_of(getpid());
  expect(benchfs_server_count(fs), servers, "servers in the cluster file");
  cpu = processor_seconds(getpid());
  began = seconds_now();
  const double served = processor_seconds_of_servers();
  expect(benchfs_statfs(fs, &space), 0, "statfs");
  figure("client", "first contact with all servers", "us",
         1e6 * (processor_seconds(getpid()) - cpu));
  figure("servers", "first contact with all servers", "us",
         1e6 * (processor_seconds_of_servers() - served));
  figure("time", "first contact with all servers", "us", 1e6 * (seconds_now() - began));
  struct usage used = usage_of(getpid());
  print_usage("client", "no session", before, 1);
  print_usage("client", "session", connected, 1);
  print_usage("client", "session, all servers asked", used, 1);

  expect(benchfs_mkdir(fs, "/scale", 0755), 0, "mkdir");
  requests_served(); /* the first one counts what came before it */

  mark = begin();
  for (long i = 0; i < count; ++i) {
    expect(benchfs_open(fs, name_of("file", i), O_WRONLY | O_CREAT | O_EXCL, 0644, 0, &file), 0,
           "create");
    expect(benchfs_close(file), 0, "close");
  }
  end(mark, "create and close", count);

  mark = begin();
  for (long i = 0; i < count; ++i) {
    expect(benchfs_stat(fs, name_of("file", i), &st), 0, "stat");
    if (st.size != 0) fail("stat: an empty file of %llu bytes", (unsigned long long)st.size);
  }
  end(mark, "stat", count);

  mark = begin();
  for (long i = 0; i < count; ++i) {
    expect(benchfs_open(fs, name_of("file", i), O_RDONLY, 0, 0, &file), 0, "open");
    expect(benchfs_close(file), 0, "close");
  }
  end(mark, "open and close", count);

  mark = begin();
  for (long i = 0; i < few; ++i) list(count);
  end(mark, "readdir", few);

  mark = begin();
  for (long i = 0; i < few; ++i) expect(benchfs_statfs(fs, &space), 0, "statfs");
  end(mark, "statfs", few);

  expect(benchfs_open(fs, "/scale/big", O_RDWR | O_CREAT | O_EXCL, 0644, kChunk, &file), 0,
         "create");
  mark = begin();
  for (long i = 0; i < few; ++i) {
    for (int k = 0; k < kBig; ++k) data[k] = (unsigned char)(k * 7 + k / kChunk + i);
    expect(benchfs_pwrite(file, data, kBig, 0), kBig, "write");
  }
  end(mark, "write 1 MiB, 16 chunks", few);
  mark = begin();
  for (long i = 0; i < few; ++i) {
    memset(back, 0, kBig);
    expect(benchfs_pread(file, back, kBig, 0), kBig, "read");
    if (memcmp(data, back, kBig) != 0) fail("read: wrong data");
  }
  end(mark, "read 1 MiB, 16 chunks", few);
  mark = begin();
  for (long i = 0; i < few; ++i) {
    expect(benchfs_pwrite(file, data, 1, (uint64_t)(i % 16) * kChunk), 1, "write");
    expect(benchfs_sync(file), 0, "sync");
  }
  end(mark, "write 1 byte and sync", few);
  expect(benchfs_close(file), 0, "close");
  expect(benchfs_stat(fs, "/scale/big", &st), 0, "stat");
  if (st.size != kBig) fail("stat: %llu bytes, not %d", (unsigned long long)st.size, kBig);
  mark = begin();
  expect(benchfs_unlink(fs, "/scale/big"), 0, "unlink");
  settle();
  end(mark, "unlink 16 chunks", 1);

  mark = begin();
  for (long i = 0; i < few; ++i) expect(benchfs_mkdir(fs, name_of("dir", i), 0755), 0, "mkdir");
  end(mark, "mkdir", few);
  mark = begin();
  for (long i = 0; i < few; ++i) expect(benchfs_rmdir(fs, name_of("dir", i)), 0, "rmdir");
  end(mark, "rmdir", few);
  mark = begin();
  for (long i = 0; i < count; ++i) expect(benchfs_unlink(fs, name_of("file", i)), 0, "unlink");
  end(mark, "unlink", count);
  list(0);
  print_usage("server", "after the operations", usage_of_servers(), servers);
  expect(benchfs_disconnect(fs), 0, "disconnect");
  free(data);
  free(back);
}

/* ---- sessions ---- */

struct told {
  struct usage before, connected, used;
  double sessions; /* at the first server */
};

static void holder(int orders, int answers) {
  benchfs_t** held = calloc(kSessionsMax, sizeof(benchfs_t*));
  struct benchfs_server_status status;
  int have = 0, want;

  if (held == NULL) fail("no memory");
  while (read(orders, &want, sizeof(want)) == (ssize_t)sizeof(want)) {
    struct told told;
    const int had = have;

    told.before = usage_of(getpid());
    for (; have < want; ++have) expect(benchfs_connect(NULL, &held[have]), 0, "connect");
    told.connected = usage_of(getpid());
    for (int i = had; i < have; ++i)
      for (int k = 0; k < servers; ++k)
        expect(benchfs_server_status(held[i], k, &status), 0, "status");
    told.used = usage_of(getpid());
    told.sessions = 0;
    if (have > 0) {
      expect(benchfs_server_status(held[0], 0, &status), 0, "status");
      told.sessions = (double)status.sessions;
    }
    if (write(answers, &told, sizeof(told)) != (ssize_t)sizeof(told))
      fail("the first process has gone");
  }
  for (int i = 0; i < have; ++i) expect(benchfs_disconnect(held[i]), 0, "disconnect");
  free(held);
  exit(0);
}

static int share(int want, int processes, int which) {
  return want / processes + (which < want % processes);
}

static void order(int pipe, int want) {
  if (write(pipe, &want, sizeof(want)) != (ssize_t)sizeof(want)) fail("a process has gone");
}

static struct told answer(int pipe) {
  struct told told;

  if (read(pipe, &told, sizeof(told)) != (ssize_t)sizeof(told)) fail("a process has gone");
  return told;
}

static void sessions(int processes, int steps, char** words) {
  int orders[kProcessesMax], answers[kProcessesMax], have = 0;
  pid_t children[kProcessesMax];
  char what[64];

  print_usage("server", "0 sessions", usage_of_servers(), servers);
  fflush(stdout); /* or the children print it too */
  for (int i = 0; i < processes; ++i) {
    int down[2], up[2];

    if (pipe(down) != 0 || pipe(up) != 0) fail("pipe: %s", strerror(errno));
    children[i] = fork();
    if (children[i] < 0) fail("fork: %s", strerror(errno));
    if (children[i] == 0) {
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      alarm(kSecondsMax);
      close(down[1]);
      close(up[0]);
      for (int k = 0; k < i; ++k) close(orders[k]), close(answers[k]);
      holder(down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    orders[i] = down[1];
    answers[i] = up[0];
  }
  for (int step = 0; step < steps; ++step) {
    const int want = atoi(words[step]);
    const int more = want - have;
    struct usage connected = {0, 0, 0, 0}, used = {0, 0, 0, 0};
    double contact;
    const double cpu = processor_seconds_of_servers(), began = seconds_now();

    if (more <= 0 || want > kSessionsMax)
      fail("sessions: %s: rising numbers up to %d", words[step], kSessionsMax);
    for (int i = 0; i < processes; ++i) order(orders[i], share(want, processes, i));
    for (int i = 0; i < processes; ++i) {
      const struct told told = answer(answers[i]);

      connected.resident_kib += told.connected.resident_kib - told.before.resident_kib;
      connected.anonymous_kib += told.connected.anonymous_kib - told.before.anonymous_kib;
      connected.shared_kib += told.connected.shared_kib - told.before.shared_kib;
      connected.descriptors += told.connected.descriptors - told.before.descriptors;
      used.resident_kib += told.used.resident_kib - told.before.resident_kib;
      used.anonymous_kib += told.used.anonymous_kib - told.before.anonymous_kib;
      used.shared_kib += told.used.shared_kib - told.before.shared_kib;
      used.descriptors += told.used.descriptors - told.before.descriptors;
    }
    contact = seconds_now() - began;
    order(orders[0], share(want, processes, 0)); /* once more: now that all have theirs */
    const double seen = answer(answers[0]).sessions;
    if (seen != want) fail("the first server has %.0f sessions, not %d", seen, want);
    snprintf(what, sizeof(what), "%d sessions", want);
    print_usage("server", what, usage_of_servers(), servers);
    snprintf(what, sizeof(what), "each of %d more sessions", more);
    print_usage("client", what, connected, more);
    snprintf(what, sizeof(what), "each of %d more sessions, all servers asked", more);
    print_usage("client", what, used, more);
    figure("servers", what, "us", 1e6 * (processor_seconds_of_servers() - cpu) / more);
    figure("time", what, "us", 1e6 * contact / more);
    have = want;
  }
  for (int i = 0; i < processes; ++i) close(orders[i]);
  for (int i = 0; i < processes; ++i) {
    int status;

    if (waitpid(children[i], &status, 0) != children[i] || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0)
      fail("a process with sessions failed");
    close(answers[i]);
  }
  print_usage("server", "all sessions ended", usage_of_servers(), servers);
}

int main(int argc, char** argv) {
  const double now = seconds_now();
  const int number = argc >= 3 ? atoi(argv[2]) : 0;
  struct rlimit limit;

  alarm(kSecondsMax);
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) { /* a session takes a dozen descriptors */
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (argc == 3 && strcmp(argv[1], "operations") == 0 && number >= 2 && number <= 100000) {
    figure("start", "ready at", "s", now);
    find_servers();
    operations(number);
    return 0;
  }
  if (argc >= 4 && argc - 3 <= kStepsMax && strcmp(argv[1], "sessions") == 0 && number >= 1 &&
      number <= kProcessesMax) {
    find_servers();
    sessions(number, argc - 3, argv + 3);
    return 0;
  }
  fprintf(stderr,
          "scale: scale operations COUNT (2 to 100000) | sessions PROCESSES (1 to %d) STEP...\n",
          kProcessesMax);
  return 2;
}
