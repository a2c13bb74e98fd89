ruby main.rb; echo $?
