# What the kit can do, as its menu says it.
menu="help"

in_menu() {
    case " $menu " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}
