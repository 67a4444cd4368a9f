job "app" {
  update {
    max_parallel     = 1
    canary           = 1
    auto_promote     = true
    auto_revert      = true
    health_check     = "checks"
    min_healthy_time = "5s"
  }

  group "app" {
    count = 2

    network {
      port "http" {
        to = 8000
      }
      port "admin" {
        to = 9100
      }
    }

    # Traffic goes to instances whose check passes.
    service {
      name     = "app"
      port     = "http"
      provider = "consul"

      check {
        type     = "http"
        port     = "admin"
        path     = "/readyz"
        interval = "2s"
        timeout  = "1s"
      }
    }

    task "app" {
      driver = "docker"

      config {
        image = "registry.example.com/app:1.0.0"
        ports = ["http", "admin"]
      }

      # Nomad takes an instance out of the catalog, waits for shutdown_delay, then sends the signal, and kills after
      # kill_timeout: more than drainTimeout (30 s) and killTimeout (5 s) together.
      shutdown_delay = "5s"
      kill_signal    = "SIGTERM"
      kill_timeout   = "40s"

      resources {
        cores  = 2
        memory = 1024
      }
    }
  }
}
